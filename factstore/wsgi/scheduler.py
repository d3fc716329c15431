"""The scheduler of a worker's requests, for servers that run each request in a thread."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from factstore.core.ports import WakeUp
from factstore.wsgi.fair_queue import Flow


class Scheduler(Protocol):
    """Decides which request runs next."""

    def start(self, flow: Flow) -> bool:
        """Let the current request run when it is its turn; return True if it had to wait.

        :raises ClientGone: the request has not been carried out.
        """

    def sleep(self, seconds: float) -> None:
        """Delay the current request.

        :raises ClientGone: the request has not been carried out.
        """

    def new_wake_up(self) -> WakeUp:
        """Return an event; a request that has waited for it continues when it is its turn."""

    def new_change_wake_up(self) -> WakeUp:
        """Return an event for requests that wait for a change, and only read.

        Waiting for it raises :class:`ClientGone`.
        """

    def age(self, flow: Flow) -> float:
        """Return the seconds for which the first waiting request of a flow has waited."""

    @property
    def waiting(self) -> int:
        """The number of requests that wait for their turn."""


class ThreadScheduler:
    """Leaves it to the operating system to divide the time among the threads."""

    waiting = 0

    def start(self, flow: Flow) -> bool:
        """Return at once."""
        return False

    def sleep(self, seconds: float) -> None:
        """Delay the current request."""
        time.sleep(seconds)

    def new_wake_up(self) -> WakeUp:
        """Return an event of the standard library."""
        return threading.Event()

    def new_change_wake_up(self) -> WakeUp:
        """Return an event of the standard library."""
        return threading.Event()

    def age(self, flow: Flow) -> float:
        """Return 0."""
        return 0.0
