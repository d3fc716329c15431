"""Wait for a condition in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within: float = 10.0, pause: float = 0.02) -> T:
    """Return the first truthy result of ``condition``; raise AssertionError after the deadline.

    :param pause: seconds between two checks.
    """
    end = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {within:g} s: {condition}"
        time.sleep(pause)
    return result
