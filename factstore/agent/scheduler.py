"""Things to be done at their time, and again after a pause when they did not work."""

from __future__ import annotations

import math
from collections.abc import Callable

from factstore.client.backoff import Backoff
from factstore.client.clock import Clock


class Chore:
    """One thing to do.  One thread attends to it.

    :param what: for complaints.
    :param action: does it; in how many seconds to do it again, or None for when it is asked for.
    """

    def __init__(
        self, what: str, action: Callable[[], float | None], clock: Clock, backoff: Backoff
    ) -> None:
        self.what = what
        self.due = math.inf
        self._action = action
        self._clock = clock
        self._backoff = backoff

    def ask(self, after: float = 0.0) -> None:
        """Have it done, in so many seconds at the latest."""
        self.due = min(self.due, self._clock.monotonic() + after)

    def attend(self) -> bool:
        """Do it if it is time to; whether it was done.

        :raises Exception: whatever went wrong; it is done again after a pause.
        """
        if self.due > self._clock.monotonic():
            return False
        self.due = math.inf
        try:
            again = self._action()
        except Exception as error:
            self.ask(self._backoff.pause(getattr(error, "retry_after", None)))
            raise
        self._backoff.reset()
        if again is not None:
            self.ask(again)
        return True
