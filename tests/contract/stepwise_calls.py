"""Calls of workers that stop where they call etcd, until the test lets them continue."""

from __future__ import annotations

import threading
from collections.abc import Callable

SECONDS = 60.0


class Killed(BaseException):
    """The worker was killed during the call."""


class StepwiseCall:
    """A call in a thread of its own; it runs only while the test waits for it.

    :ivar at: where it has stopped; empty once it has ended.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self.at = ""
        self._left: int | None = 0
        self._goes = threading.Semaphore(0)
        self._stops = threading.Semaphore(0)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            self._error = error
        self.at = ""
        self._stops.release()

    def resume(self, points: int | None) -> None:
        """Let it run until it has passed so many points; to its end with None."""
        self._left = points
        if self.at:
            self._goes.release()
        else:
            self._thread.start()
        assert self._stops.acquire(timeout=SECONDS), "the call does not continue"
        if self._error is not None:
            raise self._error

    def point(self, name: str) -> None:
        """Wait here if it has passed enough points; called by whatever runs for it."""
        if self._left is None:
            return
        if self._left:
            self._left -= 1
            return
        self.at = name
        self._stops.release()
        self._goes.acquire()
