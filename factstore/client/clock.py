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


class BootClock(SystemClock):
    """A system clock that also counts the time during which the machine was suspended.

    Neither clock follows steps of the time of day.
    """

    def monotonic(self) -> float:
        """Return the seconds since the machine was booted, as far as the system counts them."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()
