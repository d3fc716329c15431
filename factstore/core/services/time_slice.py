"""Long work that lets others work, too."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from factstore.core.ports import Clock

T = TypeVar("T")

SLICE_SECONDS = 0.01


class TimeSlice:
    """The time for which the caller works before other threads, or greenlets, may run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.monotonic() + SLICE_SECONDS

    def pause(self) -> None:
        """Let others run if the slice is over, and begin another one."""
        if self._clock.monotonic() >= self._until:
            time.sleep(0)
            self._until = self._clock.monotonic() + SLICE_SECONDS

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items, and pause between them."""
        for item in items:
            yield item
            self.pause()
