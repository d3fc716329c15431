"""The system clock."""

from __future__ import annotations

import time


class SystemClock:
    """This machine's clock, as a :class:`~factstore.core.ports.Clock`."""

    def __init__(self) -> None:
        self._second = -1, ""  # and its text, because a second has many requests

    monotonic = staticmethod(time.monotonic)
    """Return seconds from an arbitrary moment; they never decrease."""

    def timestamp(self) -> str:
        """Return the current time as ISO 8601 in UTC, with microseconds."""
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        known, text = self._second
        if known != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{nanoseconds // 1000:06d}Z"
