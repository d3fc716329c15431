"""The renewals of monitored leases that a worker has passed on, and those that are under way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection

from factstore.core.ports import Clock


class Renewals:
    """The renewals of one worker; all methods can be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[int, float] = {}
        self._under_way: dict[int, int] = {}
        self._numbers = itertools.count()

    def begin(self, lease: int) -> int:
        """Record that a renewal begins, and return its number for :meth:`end`."""
        number = next(self._numbers)
        self._under_way[number] = lease
        return number

    def end(self, number: int, lease: int, *, renewed: bool) -> None:
        """Record that a renewal has ended; its lease is under way until its success is recorded."""
        if renewed:
            self.note(lease)
        self._under_way.pop(number, None)

    def note(self, lease: int) -> None:
        """Record that a lease was created, or renewed, now."""
        self._last[lease] = self._clock.monotonic()

    def last(self, lease: int) -> float:
        """Return the instant of the last renewal of a lease, or minus infinity."""
        return self._last.get(lease, -math.inf)

    def under_way(self) -> Collection[int]:
        """Return the leases with a renewal that has begun and not ended."""
        return set(self._under_way.values())

    def forget(self, lease: int) -> None:
        """Forget the renewals of a lease, because it was revoked."""
        self._last.pop(lease, None)

    def forget_others(self, used: Collection[int]) -> None:
        """Forget the renewals of all leases but those that are used."""
        for lease in list(self._last):
            if lease not in used:
                self._last.pop(lease, None)
