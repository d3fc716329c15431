"""The clock of the client.  It is injected, so that tests do not have to wait."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock that can sleep."""

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment in the past."""

    def sleep(self, seconds: float) -> None:
        """Wait for this number of seconds."""


class SystemClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment in the past."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for this number of seconds."""
        time.sleep(seconds)
