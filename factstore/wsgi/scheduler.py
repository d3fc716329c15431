"""The scheduler of a worker's requests, for servers that run each request in a thread."""

from __future__ import annotations

import threading
from typing import Protocol

from factstore.core.ports import WakeUp
from factstore.wsgi.fair_queue import Flow


class Scheduler(Protocol):
    """Decides which request runs next."""

    def start(self, flow: Flow) -> bool:
        """Let the current request run when it is its turn; return True if it had to wait."""

    def new_wake_up(self) -> WakeUp:
        """Return an event; a request that has waited for it continues when it is its turn."""

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

    def new_wake_up(self) -> WakeUp:
        """Return an event of the standard library."""
        return threading.Event()

    def age(self, flow: Flow) -> float:
        """Return 0."""
        return 0.0
