"""The log of what is tried again and again while it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from logging import Logger

REPEAT_SECONDS = 60.0


class OutageLog:
    """Logs the first failure, then at most one a minute, and the success after them.

    Several threads may use it.
    """

    def __init__(self, log: Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._lock = threading.Lock()
        self._logged_at: float | None = None
        self._failing = False  # since a failure that was logged

    def failed(self, text: str, *args: object) -> None:
        """Log a failure, unless another one was logged less than a minute ago."""
        with self._lock:
            now = self._now()
            # Even after a success: of a damaged cluster, only some calls fail.
            if self._logged_at is not None and now - self._logged_at < REPEAT_SECONDS:
                return
            self._logged_at, self._failing = now, True
        self._log.info(text, *args)

    def succeeded(self, text: str) -> None:
        """Log a success, if it is the first since a failure that was logged."""
        if not self._failing:  # the usual case, without the lock
            return
        with self._lock:
            was_failing, self._failing = self._failing, False
        if was_failing:
            self._log.info(text)
