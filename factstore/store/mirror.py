"""The store of the domain: a backend, and a state in memory that follows it.

A refreshed read asks the backend only for its newest revision, with one call for all concurrent reads,
and is answered from memory once the state has reached that revision.  A write is acknowledged when the
state of this process includes it, so that the next request of the same client sees it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from factstore.core.errors import CursorExpired, OutcomeUnknown, StorageFull, Unavailable
from factstore.core.history_store import Enter, Snapshot, at_once
from factstore.core.model.event import Step, StepResult
from factstore.core.model.receipt import Receipt
from factstore.core.model.transaction import Transaction
from factstore.core.ports import Backend, Clock, CommitEnded, Started, WakeUp
from factstore.core.services.time_slice import TimeSlice
from factstore.core.short_lock import ShortLock
from factstore.core.standstill import is_standstill
from factstore.core.state.condition_preparation import prepare_conditions
from factstore.core.state.state import State
from factstore.store.passed_calls import PassedCalls
from factstore.store.read_index import HeadRead, ReadIndex
from factstore.store.started_commit import VISIBLE_SECONDS
from factstore.store.started_refresh import FOREIGN_SECONDS, CallbackRefresh

SILENT_SECONDS = 1.0  # for which the watch may not report a revision of the service itself
WATCH_SECONDS = 3.0  # for a watch to open again, with the pauses between attempts
FILL_SECONDS = 20.0  # for the watch to report the history, once the store was read


class MirroredStore(PassedCalls):
    """A store over a backend.  The pump calls :meth:`load`, then :meth:`apply` for every step.

    :param observe_lag: called after each write with the seconds until the state included it.
    :param on_needs_write: called when the waiter controller has something to write.
    """

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        new_wake_up: Callable[[], WakeUp],
        observe_lag: Callable[[float], None] = lambda seconds: None,
        on_needs_write: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(backend)
        self._clock = clock
        self._new_wake_up = new_wake_up
        self.observe_lag = observe_lag
        self._on_needs_write = on_needs_write
        self._lock = ShortLock()
        self._waiting: dict[int, list[Callable[[], object]]] = {}
        self._awaited: list[int] = []  # the keys of these, in a heap
        self._state: State | None = None
        self._spare_watch_until = 0.0
        self._fills = True  # until the state was current for the first time
        self._head_reads = ReadIndex(
            backend.head, clock, new_wake_up, backend.start_head, backend.defer
        )
        self._bumps = ReadIndex(backend.bump_revision, clock, new_wake_up)
        self._fences = ReadIndex(backend.raise_fence, clock, new_wake_up)

    # Called by the pump

    def load(self, opening: Snapshot, enter: Enter = at_once) -> None:
        """Start again from a snapshot of the backend; see :class:`StateMachine`."""
        state = State(opening.revision, opening.epoch, opening.signing_key, opening.renewed_at)
        state.load(opening.mutations, opening.lost_at)
        waiting: list[Callable[[], object]] = []

        def place() -> None:
            with self._lock:
                self._state = state
                self._fills, self._spare_watch_until = True, self._clock.monotonic() + FILL_SECONDS
                waiting.extend(each for calls in self._waiting.values() for each in calls)
                self._waiting.clear()
                self._awaited.clear()
            # Afterwards, so that no newest revision of this store is compared with a state of another.
            opening.use()

        enter(place)
        for reached in waiting:
            reached()
        if state.stacks_needing_write():
            self._on_needs_write()

    def apply(self, step: Step) -> StepResult:
        """Apply a step to the state and return its events and the stacks that it touched."""
        state = self.state()
        prepare_conditions(state, step, TimeSlice(self._clock).pause)
        result = state.apply(step)
        ready: list[Callable[[], object]] = []
        with self._lock:
            while self._awaited and self._awaited[0] <= step.revision:
                ready += self._waiting.pop(heapq.heappop(self._awaited))
        for reached in ready:
            reached()
        if state.stacks_needing_write():
            self._on_needs_write()
        return result

    # The store

    def state(self) -> State:
        """Return the current state of this process."""
        state = self._state
        if state is None:
            raise Unavailable("The service has not read the store yet. Try again.")
        return state

    def refresh(self, deadline: float) -> State:
        """Return the state, at least at the newest revision of the backend at the time of this call."""
        self.state()
        try:
            head = self._head_reads.read(deadline)
            soon = min(deadline, self._clock.monotonic() + FOREIGN_SECONDS)
            state = self._wait_for_revision(head, soon) or self._follow_foreign(head, deadline)
        except CursorExpired as error:
            raise _replaced() from error
        if self._fills:
            self._fills, self._spare_watch_until = False, 0.0
        return state

    def start_refresh(
        self, timeout: float, ended: Callable[[State | None], object]
    ) -> Started | None:
        """Start :meth:`refresh` without waiting; see :class:`~factstore.core.ports.Store`."""
        started = CallbackRefresh(self, self._clock.monotonic(), timeout, ended)
        try:
            started.start()
        except Unavailable:
            return None
        return started

    def join_head_read(self, ended: Callable[[HeadRead], object]) -> None:
        """Join the next read of the backend's newest revision, without waiting for it.

        The state at that revision is as new as one that :meth:`refresh` returns.

        :param ended: called with the read when it has ended.
        """
        self._head_reads.join(ended)

    def join_bump(self, ended: Callable[[HeadRead], object]) -> None:
        """Join the next write of a revision that the watch reports, without waiting for it.

        It moves the state past a revision that another client of etcd has made.

        :param ended: called with the write when it has ended.
        """
        self._bumps.join(ended)

    def join_revision(self, revision: int, reached: Callable[[], object]) -> None:
        """Call *reached* when the state has reached a revision or was read again."""
        with self._lock:
            waiting = self._waiting.get(revision)
            if waiting is None:
                waiting = self._waiting[revision] = []
                heapq.heappush(self._awaited, revision)
            waiting.append(reached)

    def commit(self, transaction: Transaction, deadline: float) -> int | None:
        """Write, and return the revision, or None if a compare failed."""
        revision = self._backend.commit(transaction, deadline)
        if revision is not None:
            written = self._clock.monotonic()
            self._wait_for_revision(revision, min(deadline, written + VISIBLE_SECONDS))
            self.observe_lag(self._clock.monotonic() - written)
        return revision

    def start_commit(
        self, transaction: Transaction, deadline: float, ended: CommitEnded
    ) -> Started | None:
        """Start :meth:`commit` without waiting; return None if that is not possible."""
        return self._backend.start_commit(transaction, deadline, ended, self)

    def call_when_reached(self, revision: int, reached: Callable[[], object]) -> bool:
        """Return True if the state has reached a revision; otherwise, call a function when it has."""
        if self.state().revision >= revision:
            return True
        self.join_revision(revision, reached)
        return False

    def _follow_foreign(self, head: int, deadline: float) -> State:
        """Advance the state past a revision that other clients of etcd may have made.

        The watch reports only the keys of the service.  A write of the service itself is later than the
        newest revision, and the watch reports it.
        """
        try:
            revision = self._bumps.read(deadline)
        except StorageFull:
            revision = head  # no key can be written; it may be a revision of the service, after all
        except OutcomeUnknown as error:
            raise Unavailable("The store did not answer in time.") from error
        return self._wait_for_own_revision(revision, deadline)

    def fence(self, deadline: float) -> State:
        """See :class:`~factstore.core.ports.Store`."""
        # One call serves all writers whose attempts were lost with the same member of etcd.
        try:
            return self._wait_for_own_revision(self._fences.read(deadline), deadline)
        except CursorExpired as error:
            raise _replaced() from error

    def _wait_for_own_revision(self, revision: int, deadline: float) -> State:
        """Wait for a revision that the watch has to report; open another watch if it is silent."""
        while True:
            before = self.state().revision
            soon = min(deadline, self._clock.monotonic() + SILENT_SECONDS)
            state = self._wait_for_revision(revision, soon)
            if state is not None:
                return state
            late = self._clock.monotonic() - soon
            # If this process stood still, it has not read what the watch has reported.
            if self.state().revision == before and not is_standstill(late):
                self._interrupt()
            if self._clock.monotonic() >= deadline:
                raise Unavailable("The service lags behind the store; its watch is being renewed.")

    def _interrupt(self) -> None:
        """Let the backend open its watch again, unless the watch may have been opened just now."""
        # After an outage many readers lose patience one after the other, and none of them may end the
        # watch that opens because of an earlier one.  A watch that reads a long history is not broken
        # either, while a busy machine leaves this process little time.
        now = self._clock.monotonic()
        if now >= self._spare_watch_until:
            self._spare_watch_until = now + WATCH_SECONDS
            self._backend.interrupt()

    def _wait_for_revision(self, revision: int, deadline: float) -> State | None:
        """Wait for a revision; return the state, or None if it has not reached the revision in time.

        Callers must use the returned state, because the store may be read again at any time.
        """
        state = self.state()
        if state.revision >= revision:
            return state
        wake_up = self._new_wake_up()
        self.join_revision(revision, wake_up.set)
        if state.revision < revision:
            wake_up.wait(max(0.0, deadline - self._clock.monotonic()))
        state = self.state()
        return state if state.revision >= revision else None

    def earlier_receipt(
        self, project_id: str, key: str, epoch: str, deadline: float
    ) -> Receipt | None:
        """See :class:`~factstore.core.ports.Store`."""
        try:
            return self._backend.earlier_receipt(project_id, key, epoch, deadline)
        except CursorExpired as error:
            raise _replaced() from error

    def is_behind(self, deadline: float) -> bool:
        """Return True if the backend has revisions that the state does not include."""
        return self._head_reads.read(deadline) > self.state().revision

    @property
    def notes_lost_history(self) -> bool:
        """Return True if lost history is still to be noted on waiters and alarms."""
        state = self.state()
        with state.read():
            return any(stack_state.conditions.lost_at for stack_state in state.all_stacks())

    @property
    def needs_write(self) -> bool:
        """Return True if the waiter controller still has something to write."""
        return bool(self.state().stacks_needing_write())

    def catch_up(self, deadline: float) -> None:
        """Advance the state to the newest revision, even if only other clients of etcd write."""
        self._follow_foreign(self._head_reads.read(deadline), deadline)

    def start(self) -> None:
        """Start the threads that :meth:`refresh` needs."""
        self._head_reads.start()
        self._bumps.start()
        self._fences.start()

    @property
    def alive(self) -> bool:
        """Return True if the threads that :meth:`refresh` needs are running."""
        return self._head_reads.alive and self._bumps.alive and self._fences.alive

    def stop(self) -> None:
        """Stop the threads; the caller closes the backend."""
        self._head_reads.stop()
        self._bumps.stop()
        self._fences.stop()


def _replaced() -> Unavailable:
    return Unavailable("The store was replaced; the service is reading it again. Try again.")
