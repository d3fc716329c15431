"""The scheduler of a worker's requests, for servers that run each request in a thread."""

from __future__ import annotations

import math
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from factstore.core.ports import WakeUp
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.fair_queue import Flow

CHECK_SECONDS = 1.0  # between two checks of a connection by a thread that waits


class Scheduler(Protocol):
    """Decides which request runs next."""

    def start(self, flow: Flow) -> bool:
        """Let the current request run when it is its turn; return True if it had to wait.

        :raises ClientGone: the request has not been carried out.
        """

    def note(self, project_id: str) -> None:
        """Note that a project has sent a request that does not wait for its turn."""

    def join_shared(self, flow: Flow, run: Callable[[], object]) -> bool:
        """Let a function be called when it is its turn; return False if that is now.

        The function must not raise any error.
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

    def may_wait(self) -> bool:
        """Return False if the caller runs in a loop that serves others meanwhile."""

    def age(self, flow: Flow) -> float:
        """Return the seconds for which the first waiting request of a flow has waited."""

    @property
    def shared(self) -> bool:
        """True while several projects use the worker."""

    @property
    def waiting(self) -> int:
        """The number of requests that wait for their turn."""


class ThreadScheduler:
    """Leaves it to the operating system to divide the time among the threads."""

    waiting = 0
    shared = False

    def start(self, flow: Flow) -> bool:
        """Return at once."""
        return False

    def note(self, project_id: str) -> None:
        """Do nothing."""

    def join_shared(self, flow: Flow, run: Callable[[], object]) -> bool:
        """Return False: it is always its turn."""
        return False

    def sleep(self, seconds: float) -> None:
        """Delay the current request."""
        time.sleep(seconds)

    def new_wake_up(self) -> WakeUp:
        """Return an event of the standard library."""
        return threading.Event()

    def new_change_wake_up(self) -> WakeUp:
        """Return an event that checks the connection of the request, if the server provides it."""
        return _ChangeEvent()

    def may_wait(self) -> bool:
        """Return True: each request has its thread."""
        return True

    def age(self, flow: Flow) -> float:
        """Return 0."""
        return 0.0


class _ChangeEvent(threading.Event):
    """An event whose waiters end if their client has gone."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the event.

        :raises ClientGone: the client has closed its connection, or only its sending side.
        """
        # Of the servers with threads, uWSGI is the one that provides the connection.
        uwsgi: Any = sys.modules.get("uwsgi")
        if uwsgi is None:
            return super().wait(timeout)
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while (left := end - time.monotonic()) > CHECK_SECONDS:
            if super().wait(CHECK_SECONDS):
                return True
            if _hung_up(uwsgi.connection_fd()):
                raise ClientGone
        return super().wait(left)


def _hung_up(descriptor: int) -> bool:
    """Return True if the peer of a connection has closed it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    return bool(poll.poll(0))
