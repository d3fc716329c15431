"""Wait for a condition in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LONGEST_PAUSE = 0.1  # seconds; many checks are requests, which take time from the other tests


def eventually(condition: Callable[[], T], within: float = 60.0, pause: float = 0.02) -> T:
    """Return the first truthy result of ``condition``; raise AssertionError after the deadline.

    :param pause: seconds between the first two checks; later pauses are longer.
    """
    end = time.monotonic() + within
    longest = max(pause, _LONGEST_PAUSE)
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {within:g} s: {condition}"
        time.sleep(pause)
        pause = min(2 * pause, longest)
    return result
