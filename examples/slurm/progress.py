"""Lines about the progress of a long step."""

from __future__ import annotations

import sys
import time

from factstore.client import WaiterRecord


class Progress:
    """Prints now and then, to the standard error output, for what a step waits.

    :param what: the step.
    :param seconds: between two lines, and until the first one.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def show(self, text: str) -> None:
        """Print a line, unless that was done just before."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            print(f"{self._what}: {text}", file=sys.stderr, flush=True)

    def show_waiter(self, record: WaiterRecord) -> None:
        """Print how many conditions are met."""
        self.show(f"{record.satisfied} of {record.needed} conditions are met")
