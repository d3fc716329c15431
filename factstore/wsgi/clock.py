"""The real clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """A :class:`~factstore.core.ports.Clock` that is this machine's."""

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    def timestamp(self) -> str:
        """The present moment as ISO 8601 in UTC, with microseconds."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
