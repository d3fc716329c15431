"""Waiting for what Heat does, which takes seconds, and longer the more often it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests import eventually as impatient

PAUSE = 0.25  # seconds between two looks

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 10.0) -> T:
    """As everybody's, with longer pauses."""
    return impatient.eventually(condition, within, PAUSE)
