"""Logging of repeated failures: once when a task begins to fail, and once when it succeeds again."""

from __future__ import annotations

import logging

from factstore.agent.errors import describe
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

REPEAT_SECONDS = 600.0


class ErrorLog:
    """The tasks that fail at the moment.  Several threads may use it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing: dict[str, tuple[object, float]] = {}

    def failed(self, task: str, error: Exception) -> None:
        """Log the failure of a task, unless it failed in the same way a short time ago."""
        kind = (type(error), getattr(error, "status", None), getattr(error, "source", None))
        known, logged_at = self._failing.get(task, (None, 0.0))
        now = self._clock.monotonic()
        if known != kind or now - logged_at >= REPEAT_SECONDS:
            self._failing[task] = (kind, now)
            LOG.warning("%s failed: %s", task, describe(error))
        else:
            LOG.debug("%s failed again: %s", task, describe(error))

    def succeeded(self, task: str) -> None:
        """Log that a task succeeded, if it failed before."""
        if self._failing.pop(task, None) is not None:
            LOG.info("%s succeeded after earlier failures", task)
