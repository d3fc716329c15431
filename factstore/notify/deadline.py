"""The end of a request: after a number of seconds, or when the notifier may not send any more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

CHECK_SECONDS = 0.25
"""The longest wait after which the right to send is checked again."""


class TimedOut(Exception):
    """The request took too long."""


class SendingEnded(Exception):
    """The notifier may not send any more, because another one may have taken over."""


def _unlimited() -> float:
    return math.inf


class Deadline:
    """An instant that a request must not exceed.

    :param allowed_until: returns the instant until which the notifier may send, which can change.
    """

    def __init__(
        self,
        seconds: float,
        allowed_until: Callable[[], float] = _unlimited,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._allowed_until = allowed_until
        self._end = now() + seconds

    def left(self) -> float:
        """Return the seconds that are left, more than 0.

        :raises TimedOut: none are.
        :raises SendingEnded: the notifier may not send any more.
        """
        now = self._now()
        allowed = self._allowed_until() - now
        if allowed <= 0:
            raise SendingEnded
        left = self._end - now
        if left <= 0:
            raise TimedOut
        return min(left, allowed)

    def within(self, seconds: float) -> Deadline:
        """Return a deadline that also ends in a number of seconds."""
        nearer = Deadline(seconds, self._allowed_until, self._now)
        nearer._end = min(nearer._end, self._end)
        return nearer
