"""Requests that wait in the loop, without a greenlet or a thread for each.

Each reads the store's newest revision, and is answered once the state has reached it and a response is
due.  One listener of the hub serves all requests that wait for the same read set of a stack.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock
from factstore.core.state.state import State
from factstore.store.mirror import MirroredStore
from factstore.store.read_index import HeadRead
from factstore.store.started_refresh import FOREIGN_SECONDS, LAG_SECONDS
from factstore.watch.hub import Hub
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.loop_wait import LoopWait, ReadSetListener
from factstore.wsgi.scheduler import Scheduler

LOG = logging.getLogger(__name__)

TICKS = 50  # a second; alarms ring at one of them
SWEEP_SECONDS = 5.0  # between two searches for listeners without requests


class LoopWaits:
    """The waiting requests of one worker.

    :param timeout: seconds after which a wait of the store counts as failed.
    :param gone: called when the client of a request that waits has gone.
    """

    def __init__(
        self,
        store: MirroredStore,
        hub: Hub,
        scheduler: Scheduler,
        clock: Clock,
        timeout: float,
        gone: Callable[[Call], None],
    ) -> None:
        self._store = store
        self._hub = hub
        self._scheduler = scheduler
        self._clock = clock
        self._timeout = timeout
        self._gone = gone
        # Those for which the state is not new enough yet, and when a greenlet has to see to that.
        self._started: dict[LoopWait, float] = {}
        self._listeners: dict[tuple[Scope, str], ReadSetListener] = {}
        self._alarms: dict[int, dict[LoopWait, None]] = {}
        self._ticks: list[int] = []
        self._sweep_at = 0.0

    @property
    def busy(self) -> bool:
        """True if a request waits, or if there are listeners and alarms that none needs any more."""
        return bool(self._started or self._listeners or self._ticks)

    def start(self, wait: LoopWait, head: HeadRead | None = None) -> bool:
        """Let a request wait; return False if a greenlet has to do it.

        :param head: a read of the store's newest revision that has ended; None for a new one.
        """
        call = wait.call
        self._started[wait] = call.began + self._timeout
        if call.attend is not None:
            call.attend(partial(self._leave_early, wait))
        try:
            if head is None:
                self._store.join_head_read(partial(self._begin, wait))
            else:
                self._begin(wait, head)
        except FactstoreError:
            self._forget(wait)
            return False
        return True

    def _begin(self, wait: LoopWait, head: HeadRead) -> None:
        if head.error is not None:
            self._hand_over(wait)
        elif self._store.state().revision >= head.revision:
            self._look_first(wait)
        else:
            if wait in self._started:
                wait.lags = True
                seconds = LAG_SECONDS if wait.passed else FOREIGN_SECONDS
                self._started[wait] = time.monotonic() + seconds
            reached = partial(self._look_at, wait, head.revision)
            self._store.join_revision(head.revision, reached)

    def _look_at(self, wait: LoopWait, revision: int) -> None:
        if self._store.state().revision >= revision:
            self._look_first(wait)
        else:  # the state was wait again
            self._hand_over(wait)

    def _look_first(self, wait: LoopWait) -> None:
        if wait in self._started:
            del self._started[wait]
            self.look(wait)

    def _hand_over(self, wait: LoopWait) -> None:
        """Let a greenlet answer a request, unless the request has ended."""
        if wait in self._started:
            self._end(wait, None)

    def _leave_early(self, wait: LoopWait) -> None:
        self._forget(wait)
        self._gone(wait.call)

    def expire(self) -> None:
        """See to the requests for which the state lags, and to those whose time has come."""
        now = time.monotonic()
        for wait, at in list(self._started.items()):
            if now < at:
                continue
            if wait.lags and not wait.passed:
                self._pass_foreign(wait)
            else:
                self._hand_over(wait)
        self._ring()

    def _pass_foreign(self, wait: LoopWait) -> None:
        """Move the state past the revision, which another client of etcd seems to have made."""
        wait.lags, wait.passed = False, True
        self._started[wait] = time.monotonic() + self._timeout
        try:
            self._store.join_bump(partial(self._begin, wait))
        except FactstoreError:
            self._hand_over(wait)

    def look(self, wait: LoopWait) -> None:
        """Answer a wait if its response is due, or let it wait."""
        try:
            self._look(wait)
        except Exception:  # other requests, and the hub, have to continue
            LOG.exception("GET %s failed in the loop.", wait.call.request.target)
            self._end(wait, None)

    def _look(self, wait: LoopWait) -> None:
        waiting, state = wait.waiting, self._store.state()
        try:
            left = waiting.seconds_left(state)
        except FactstoreError:
            self._end(wait, None)
            return
        if left:
            self._listen(wait, waiting.read_set(state))
            self._set_alarm(wait, left)
        elif not self._hub.has_published(state.cursor):  # the events are being published
            self._listen(wait, waiting.read_set(state))
            self._set_alarm(wait, 0.0)
        else:
            self._end(wait, state)

    def _forget(self, wait: LoopWait) -> None:
        self._started.pop(wait, None)
        self._leave(wait)
        self._drop_alarm(wait)
        leave, wait.leave = wait.leave, None
        if leave is not None:
            leave()

    def _end(self, wait: LoopWait, state: State | None) -> None:
        self._forget(wait)
        wait.due(state)

    # Listeners

    def ends(self, scope: Scope) -> bool:
        """Return True if no wait of a stack is to wait any longer."""
        return self._hub.closing or self._store.state().stack(scope) is None

    def join_queue(self, project_id: str, run: Callable[[], None]) -> bool:
        """Call a function when it is a project's turn; return False if that is now."""
        return self._scheduler.join_shared((project_id, False), run)

    def _listen(self, wait: LoopWait, read_set: str) -> None:
        scope = wait.waiting.scope
        key = scope, read_set
        listener = self._listeners.get(key)
        if listener is None:
            listener = ReadSetListener(scope, self.ends, self.join_queue, self.look)
            self._listeners[key] = listener
            listener.end = self._hub.listen(scope, listener.wake, read_set)
        if wait.listener is not listener:
            self._leave(wait)
            listener.requests[wait] = None
            wait.listener = listener

    def _leave(self, wait: LoopWait) -> None:
        listener, wait.listener = wait.listener, None
        if listener is not None:
            del listener.requests[wait]

    def _forget_idle(self) -> None:
        for key, listener in list(self._listeners.items()):
            if not listener.requests and listener.end is not None:
                del self._listeners[key]
                listener.end()

    # Alarms

    def _set_alarm(self, wait: LoopWait, seconds: float) -> None:
        tick = int((self._clock.monotonic() + seconds) * TICKS) + 1
        if tick == wait.tick:
            return
        self._drop_alarm(wait)
        alarms = self._alarms.get(tick)
        if alarms is None:
            alarms = self._alarms[tick] = {}
            heappush(self._ticks, tick)
        alarms[wait] = None
        wait.tick = tick

    def _drop_alarm(self, wait: LoopWait) -> None:
        alarms, wait.tick = self._alarms.get(wait.tick), 0
        if alarms is not None:
            alarms.pop(wait, None)

    def _ring(self) -> None:
        """Look at the requests whose alarm is due."""
        now = self._clock.monotonic()
        while self._ticks and self._ticks[0] <= now * TICKS:
            tick = heappop(self._ticks)
            for wait in self._alarms.pop(tick):
                rung = partial(self._rung, wait, tick)
                if not self.join_queue(wait.waiting.scope.project_id, rung):
                    rung()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._forget_idle()

    def _rung(self, wait: LoopWait, tick: int) -> None:
        if wait.tick == tick:
            self.look(wait)
