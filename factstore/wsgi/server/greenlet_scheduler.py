"""The scheduler of greenlets: they run when the fair queue serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import gevent
from gevent import get_hub
from gevent.event import Event
from gevent.hub import Waiter

from factstore.core.ports import Clock, WakeUp
from factstore.wsgi.fair_queue import FairQueue, Flow
from factstore.wsgi.server.connection import CURRENT

BUSY_SECONDS = 0.005  # after which the queue is served although new requests keep arriving

_FLOW: ContextVar[Flow | None] = ContextVar("flow", default=None)
"""The flow of the request that a greenlet serves; None in the greenlets of background work."""


class GreenletScheduler:
    """Lets greenlets wait in a fair queue."""

    def __init__(self, clock: Clock) -> None:
        self._queue = queue = FairQueue(clock, _Idle().schedule)
        self.note: Callable[[str], None] = queue.note
        """Notes that a project has sent a request that does not wait for its turn."""
        self.join_shared: Callable[[Flow, Callable[[], object]], bool] = queue.join_shared
        """Lets a function be called in the hub when it is its turn; returns False if that is now.

        A project that uses the worker alone does not wait.
        """
        self._new_event = partial(_FairEvent, self._resume)
        self._new_change_event = partial(_ChangeEvent, self._resume)

    def start(self, flow: Flow) -> bool:
        """Let the current request run when it is its turn; return True if it had to wait.

        :raises ClientGone: the request has not been carried out.
        """
        _FLOW.set(flow)
        with _attention():
            return self._wait(flow)

    def join(self, flow: Flow, run: Callable[[], None]) -> bool:
        """Call a function when it is a flow's turn; return False if that is now."""
        return self._queue.join(flow, run)

    def sleep(self, seconds: float) -> None:
        """Delay the current request.

        :raises ClientGone: the request has not been carried out.
        """
        with _attention():
            gevent.sleep(seconds)

    def new_wake_up(self) -> WakeUp:
        """Return an event; a request that has waited for it continues when it is its turn."""
        return self._new_event()

    def new_change_wake_up(self) -> WakeUp:
        """Return an event for requests that wait for a change, and only read.

        Waiting for it raises :class:`ClientGone`.
        """
        return self._new_change_event()

    def may_wait(self) -> bool:
        """Return False in gevent's hub, in which no greenlet runs while it waits."""
        return gevent.getcurrent() is not get_hub()

    def age(self, flow: Flow) -> float:
        """Return the seconds for which the first waiting request of a flow has waited."""
        return self._queue.age(flow)

    @property
    def shared(self) -> bool:
        """True while several projects use the worker."""
        return self._queue.shared

    @property
    def waiting(self) -> int:
        """The number of requests that wait for their turn."""
        return len(self._queue)

    def _resume(self) -> None:
        flow = _FLOW.get()
        if flow is not None:
            self._wait(flow)

    def _wait(self, flow: Flow) -> bool:
        waiter: Waiter[None] = Waiter()
        waits = self._queue.join(flow, partial(waiter.switch, None))
        if waits:
            waiter.get()
        return waits


@contextmanager
def _attention() -> Iterator[None]:
    """Raise ClientGone inside a ``with`` block if the client of the current request has gone."""
    connection = CURRENT.get()
    if connection is None:
        yield
        return
    try:
        connection.begin_wait()
        yield
    finally:
        connection.end_wait()


class _FairEvent(Event):
    """An event of gevent, whose waiters join the fair queue."""

    __slots__ = ("_resume",)

    def __init__(self, resume: Callable[[], None]) -> None:
        super().__init__()
        self._resume = resume

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the event, and then for the turn of the request."""
        if self.is_set():
            return True
        happened: bool = super().wait(timeout)
        self._resume()
        return happened


class _ChangeEvent(_FairEvent):
    """An event whose waiters end if their client has gone."""

    __slots__ = ()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the event, and then for the turn of the request."""
        with _attention():
            return super().wait(timeout)


class _Idle:
    """Calls a function once, when gevent's loop has nothing else to do, or after :data:`BUSY_SECONDS`.

    A request needs several turns of the loop, such as those for an answer of etcd, and would wait for a
    slice of the others in each of them if their queues were served in every turn.
    """

    def __init__(self) -> None:
        loop = get_hub().loop
        self._idle, self._timer = loop.idle(), loop.timer(BUSY_SECONDS, BUSY_SECONDS)

    def schedule(self, call: Callable[[], None]) -> None:
        """Call a function once; the previous one must have been called."""
        self._idle.start(self._run, call)
        self._timer.again(self._run, call)

    def _run(self, call: Callable[[], None]) -> None:
        self._idle.stop()
        self._timer.stop()
        call()
