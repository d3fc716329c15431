"""Pauses between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential backoff: pauses that double up to a maximum, each shortened at random by up to half.

    :param first: the first pause in seconds, before it is shortened.
    :param longest: the longest pause in seconds.
    :param jitter: a source of numbers from 0 to 1.
    """

    def __init__(
        self,
        first: float = 0.25,
        longest: float = 10.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        # The jitter spreads clients that lost the same service at the same moment.
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._next = first

    def pause(self, at_least: float | None = None) -> float:
        """Return the number of seconds to wait now.

        :param at_least: the minimum that the service requested, in seconds.
        """
        spread = self._next / 2 * self._jitter()
        pause = at_least + spread if at_least else self._next - spread
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Start with the first pause again, after an attempt succeeded."""
        self._next = self._first
