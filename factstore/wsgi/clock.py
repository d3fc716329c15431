"""The system clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """This machine's clock, as a :class:`~factstore.core.ports.Clock`."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary moment; they never decrease."""
        return time.monotonic()

    def timestamp(self) -> str:
        """Return the current time as ISO 8601 in UTC, with microseconds."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
