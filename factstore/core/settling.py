"""When to tell what has happened: not at once, but when it has been quiet for a while.

A scale-out of a hundred nodes is a storm of changes; who acts on each of them acts a hundred times.
Nothing is lost by waiting: what is told later is told whole, and in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Settle:
    """What a reader wants.

    :param quiet: seconds without anything new after which to tell; 0 tells at once.
    :param longest: seconds after the first thing to tell at which it is told in any case.
    """

    quiet: float = 0.0
    longest: float = 0.0


AT_ONCE = Settle()


class Settling:
    """One delivery that is being held back; times are in seconds on one clock.

    :param end: when the reader wants an answer; one that began to settle by then may take *quiet*
        longer.
    """

    def __init__(self, settle: Settle, end: float = inf) -> None:
        self._settle = settle
        self._end = end
        self._first: float | None = None
        self._last = 0.0

    def noticed(self, now: float) -> None:
        """There is something more to tell."""
        if self._first is None:
            self._first = now
        self._last = now

    def left(self, now: float) -> float:
        """For how long to go on waiting; 0 when it is time to tell, or there is nothing to tell."""
        if self._first is None:
            return 0.0
        due = min(
            self._last + self._settle.quiet,
            self._first + self._settle.longest,
            max(self._end, self._first + self._settle.quiet),
        )
        return max(0.0, due - now)
