"""How long a reader wants to wait for quiet."""

from __future__ import annotations

from typing import Any

from factstore.core.settling import Settle

TIMES = 10  # settle, if max_settle is not given


def settle_of(query: dict[str, Any]) -> Settle:
    """What ``settle`` and ``max_settle`` ask for, in milliseconds there."""
    quiet, longest = query["settle"], query["max_settle"]
    return Settle(quiet / 1000, (TIMES * quiet if longest is None else longest) / 1000)
