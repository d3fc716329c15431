"""Waiting for something that happens in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 10.0, pause: float = 0.02) -> T:
    """The first truthy result of ``condition``; an AssertionError if there is none in time.

    :param pause: seconds between two looks.
    """
    end = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {within:g} s: {condition}"
        time.sleep(pause)
    return result
