"""Conditions for waiters and alarms, of which the others are variants."""

from __future__ import annotations

HERE = {"facts": "a", "present": True}
LOAD = {"function": "avg", "facts": "*/load", "at_least": 1}
