"""Counts that are added to Prometheus' metrics now and then, because each addition to these is slow."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any


class Tally:
    """Counts that cost little to add to, because the library's cost some microseconds each.

    :param bounds: of the histogram's buckets.
    """

    __slots__ = ("_bounds", "_buckets", "_seconds", "count", "size")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._buckets = [0] * (len(bounds) + 1)
        self._seconds = 0.0
        self.count = self.size = 0

    def add(self, size: int, seconds: float | None) -> None:
        """Add one; None for a duration that is not counted."""
        self.count += 1
        self.size += size
        if seconds is not None:
            self._seconds += seconds
            self._buckets[bisect_left(self._bounds, seconds)] += 1

    def publish(self, histogram: Any) -> None:
        """Add the durations to a histogram."""
        # The library has no public way to add several at once.
        for bucket, count in zip(histogram._buckets, self._buckets, strict=True):
            if count:
                bucket.inc(count)
        histogram._sum.inc(self._seconds)
