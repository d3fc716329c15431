"""Pauses between attempts."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Pauses that double from the first to the longest, each cut by up to half at random.

    The randomness spreads clients that lost the same service at the same moment.

    :param first: seconds of the first pause, before the cut.
    :param longest: seconds that no pause exceeds.
    :param jitter: numbers from 0 to 1.
    """

    def __init__(
        self,
        first: float = 0.25,
        longest: float = 10.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._next = first

    def pause(self, at_least: float | None = None) -> float:
        """How many seconds to wait now.

        :param at_least: seconds that the service asked for.
        """
        spread = self._next / 2 * self._jitter()
        pause = at_least + spread if at_least else self._next - spread
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """It worked: begin with the first pause again."""
        self._next = self._first
