"""Waiting for Heat, which takes seconds, and longer the more often it is polled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests import eventually as general

PAUSE = 0.4  # seconds between two polls

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 60.0) -> T:
    """Call ``tests.eventually`` with longer pauses."""
    return general.eventually(condition, within, PAUSE)
