"""The reads of contexts that wait for a change, without a greenlet or a thread for each.

One listener of the hub serves all reads of a stack that wait for the same read set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush

from factstore.core.errors import NotFound
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock
from factstore.core.services.context import ContextService
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_wait import ContextWait
from factstore.store.mirror import MirroredStore
from factstore.watch.hub import Hub
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.scheduler import Scheduler

LOG = logging.getLogger(__name__)

SLICE = 64  # reads that are served before other requests have their turn
TICKS = 50  # a second; alarms ring at one of them
SWEEP_SECONDS = 5.0  # between two searches for listeners without reads


class ContextRead:
    """A read that was started in the loop.

    :param leave: releases its place among the waiting requests.
    :ivar listener: the listener that looks at it again after a change; None before it waits.
    :ivar tick: at which it is looked at in any case; 0 for none.
    :ivar lags: True if the state has not reached the store's revision.
    :ivar passed: True once the state was moved past a revision that another client may have made.
    """

    __slots__ = ("call", "lags", "leave", "listener", "passed", "tick", "waiting", "waits")

    def __init__(self, call: Call, waiting: ContextWait, leave: Callable[[], None] | None) -> None:
        self.call = call
        self.waiting = waiting
        self.waits = leave is not None
        self.leave = leave
        self.listener: _Listener | None = None
        self.tick = 0
        self.lags = self.passed = False


class _Listener:
    """The reads of a stack that wait for changes that concern one read set."""

    __slots__ = ("_pending", "_waits", "end", "reads", "scope")

    def __init__(self, waits: ContextWaits, scope: Scope) -> None:
        self._waits = waits
        self.scope = scope
        self.reads: dict[ContextRead, None] = {}
        self._pending: list[ContextRead] = []
        self.end: Callable[[], None] | None = None

    def wake(self) -> None:
        """Look at all reads again, except at those that wait until the stack is quiet."""
        served = bool(self._pending)
        ends = self._waits.ends(self.scope)
        self._pending = [read for read in self.reads if ends or not read.waiting.settles]
        if not served:
            self._serve_next()

    def _serve_next(self) -> None:
        while self._pending and not self._waits.join_queue(self.scope.project_id, self._serve):
            self._serve_slice()

    def _serve(self) -> None:
        self._serve_slice()
        self._serve_next()

    def _serve_slice(self) -> None:
        found, self._pending = self._pending[:SLICE], self._pending[SLICE:]
        for read in found:
            if read.listener is self:
                self._waits.look(read)


class ContextWaits:
    """The waiting reads of one worker.

    :param answer: called when a response is due; None if a greenlet has to come to it.
    """

    def __init__(
        self,
        store: MirroredStore,
        hub: Hub,
        contexts: ContextService,
        scheduler: Scheduler,
        clock: Clock,
        answer: Callable[[ContextRead, ContextDelta | None], None],
    ) -> None:
        self._store = store
        self._hub = hub
        self._contexts = contexts
        self._scheduler = scheduler
        self._clock = clock
        self._answer = answer
        self._listeners: dict[tuple[Scope, str], _Listener] = {}
        self._alarms: dict[int, dict[ContextRead, None]] = {}
        self._ticks: list[int] = []
        self._sweep_at = 0.0

    def look(self, read: ContextRead) -> None:
        """Answer a read if its response is due, or let it wait."""
        try:
            self._look(read)
        except Exception:  # other reads, and the hub, have to continue
            LOG.exception("GET %s failed in the loop.", read.call.request.target)
            self._end(read, None)

    def _look(self, read: ContextRead) -> None:
        waiting, state = read.waiting, self._store.state()
        try:
            left = waiting.seconds_left(state, self._store.epoch)
        except NotFound:  # the greenlet comes to the same refusal, and answers it
            self._end(read, None)
            return
        if left:
            self._listen(read, waiting.read_set(state))
            self._set_alarm(read, left)
        elif self._hub.revision < state.revision:  # the events are being published
            self._listen(read, waiting.read_set(state))
            self._set_alarm(read, 0.0)
        else:
            self._end(read, self._contexts.changes(state, waiting))

    def forget(self, read: ContextRead) -> None:
        """Forget a read."""
        self._leave(read)
        self._drop_alarm(read)
        leave, read.leave = read.leave, None
        if leave is not None:
            leave()

    def _end(self, read: ContextRead, found: ContextDelta | None) -> None:
        self.forget(read)
        self._answer(read, found)

    # Listeners

    def ends(self, scope: Scope) -> bool:
        """Return True if no read of a stack is to wait any longer."""
        return self._hub.closing or self._store.state().stack(scope) is None

    def join_queue(self, project_id: str, run: Callable[[], None]) -> bool:
        """Call a function when it is a project's turn; return False if that is now."""
        return self._scheduler.join_shared((project_id, False), run)

    def _listen(self, read: ContextRead, read_set: str) -> None:
        scope = read.waiting.scope
        key = scope, read_set
        listener = self._listeners.get(key)
        if listener is None:
            listener = self._listeners[key] = _Listener(self, scope)
            listener.end = self._hub.listen(scope, listener.wake, read_set)
        if read.listener is not listener:
            self._leave(read)
            listener.reads[read] = None
            read.listener = listener

    def _leave(self, read: ContextRead) -> None:
        listener, read.listener = read.listener, None
        if listener is not None:
            del listener.reads[read]

    def _forget_idle(self) -> None:
        for key, listener in list(self._listeners.items()):
            if not listener.reads and listener.end is not None:
                del self._listeners[key]
                listener.end()

    # Alarms

    def _set_alarm(self, read: ContextRead, seconds: float) -> None:
        tick = int((self._clock.monotonic() + seconds) * TICKS) + 1
        if tick == read.tick:
            return
        self._drop_alarm(read)
        alarms = self._alarms.get(tick)
        if alarms is None:
            alarms = self._alarms[tick] = {}
            heappush(self._ticks, tick)
        alarms[read] = None
        read.tick = tick

    def _drop_alarm(self, read: ContextRead) -> None:
        alarms, read.tick = self._alarms.get(read.tick), 0
        if alarms is not None:
            alarms.pop(read, None)

    def ring(self) -> None:
        """Look at the reads whose alarm is due."""
        now = self._clock.monotonic()
        while self._ticks and self._ticks[0] <= now * TICKS:
            tick = heappop(self._ticks)
            for read in self._alarms.pop(tick):
                rung = partial(self._rung, read, tick)
                if not self.join_queue(read.waiting.scope.project_id, rung):
                    rung()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._forget_idle()

    def _rung(self, read: ContextRead, tick: int) -> None:
        if read.tick == tick:
            self.look(read)
