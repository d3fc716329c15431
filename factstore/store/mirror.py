"""A database with a state that follows it: what the domain calls its store.

A refreshed read asks the database only for its newest revision, one question for all that wait at the
moment, and answers from memory once the state has got there.  A write is acknowledged to its caller
when this process has seen it too, so that the same caller's next request finds it.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable

from factstore.core.errors import CursorExpired, OutcomeUnknown, Unavailable
from factstore.core.model.event import Event, Record, Step
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.record_key import RecordKindName
from factstore.core.ports import Backend, Clock, IdempotencyRecord, Snapshot, Transaction, WakeUp
from factstore.core.state.state import State
from factstore.store.read_index import ReadIndex

FOREIGN_SECONDS = 0.02  # how long to wait before supposing that a revision is somebody else's
SEEN_SECONDS = 1.0  # how long an acknowledgement waits for the own state; the write is safe already


class MirroredStore:
    """A store over a backend.  A pump feeds it: :meth:`load`, then :meth:`apply` for every step.

    :param lagged: is told after each write how long the pump took to bring it.
    :param busy: is called when the state has something to be written down.
    """

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        new_signal: Callable[[], WakeUp],
        lagged: Callable[[float], None] = lambda seconds: None,
        busy: Callable[[], None] = lambda: None,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._new_signal = new_signal
        self._lagged = lagged
        self._busy = busy
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._awaited: list[tuple[int, int, WakeUp]] = []
        self._state: State | None = None
        self._epoch = ""
        self._heads = ReadIndex(backend.head, clock, new_signal)
        self._bumps = ReadIndex(backend.bump_revision, clock, new_signal)

    # Fed by the pump

    def load(self, opening: Snapshot) -> None:
        """Begin anew from what the backend opened with."""
        state = State(opening.revision, opening.epoch)
        state.load(opening.mutations)
        with self._lock:
            self._state, self._epoch = state, opening.epoch
            awaited, self._awaited = self._awaited, []
        for _, _, signal in awaited:
            signal.set()
        if state.busy():
            self._busy()

    def apply(self, step: Step) -> Iterable[Event]:
        """Take in a step and return its events."""
        state = self.state()
        events = state.apply(step)
        ready = []
        with self._lock:
            while self._awaited and self._awaited[0][0] <= step.revision:
                ready.append(heapq.heappop(self._awaited)[2])
        for signal in ready:
            signal.set()
        if state.busy():
            self._busy()
        return events

    # The store

    @property
    def epoch(self) -> str:
        """Which life of the store this is."""
        self.state()
        return self._epoch

    def state(self) -> State:
        """The state as known here now."""
        state = self._state
        if state is None:
            raise Unavailable("the service has not read the store yet.")
        return state

    def refresh(self, deadline: float) -> State:
        """The state, no older than the database's head at the time of this call."""
        self.state()
        try:
            head = self._heads.read(deadline)
            soon = min(deadline, self._clock.monotonic() + FOREIGN_SECONDS)
            return self._reach(head, soon) or self._follow_foreign(deadline)
        except CursorExpired as error:
            raise Unavailable("the store was replaced; the service reads it anew.") from error

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        """Write, and return the revision; None when a guard did not hold."""
        revision = self._backend.commit(commit, deadline)
        if revision is not None and commit.writes:
            written = self._clock.monotonic()
            self._reach(revision, min(deadline, written + SEEN_SECONDS))
            self._lagged(self._clock.monotonic() - written)
        return revision

    def _follow_foreign(self, deadline: float) -> State:
        """Get past a revision that may not be ours.

        Others may write into the same etcd, and the watch tells only of our own keys.  A write of our
        own comes later than the head that was asked for, and does show.
        """
        try:
            revision = self._bumps.read(deadline)
        except OutcomeUnknown as error:
            raise Unavailable("the store did not answer in time.") from error
        before = self.state().revision
        state = self._reach(revision, deadline)
        if state is None:
            if self.state().revision == before:  # it does not merely lag: it hears nothing
                self._backend.interrupt()
            raise Unavailable("the service lags behind the store; its watch is being renewed.")
        return state

    def _reach(self, revision: int, deadline: float) -> State | None:
        """Wait until the state is at a revision, and return it; None when it did not get there.

        Whoever needs that revision must use what is returned: the store may be read anew any time.
        """
        state = self.state()
        if state.revision >= revision:
            return state
        signal = self._new_signal()
        with self._lock:
            heapq.heappush(self._awaited, (revision, next(self._order), signal))
        if state.revision < revision:
            signal.wait(max(0.0, deadline - self._clock.monotonic()))
        state = self.state()
        return state if state.revision >= revision else None

    def behind(self, deadline: float) -> bool:
        """Whether the database has revisions that this state has not; see upkeep."""
        return self._heads.read(deadline) > self.state().revision

    def move(self, deadline: float) -> None:
        """Bring the state to the head although only others write."""
        self._follow_foreign(deadline)

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """See :class:`~factstore.core.ports.Backend`, as all below."""
        return self._backend.facts_at(stack, prefix, after, limit, revision, deadline)

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        return self._backend.stacks_at(project_id, after, limit, revision, deadline)

    def records_at(
        self, stack: Stack, kind: RecordKindName, revision: int, deadline: float
    ) -> list[Record]:
        return self._backend.records_at(stack, kind, revision, deadline)

    def create_lease(self, ttl: int, deadline: float) -> int:
        return self._backend.create_lease(ttl, deadline)

    def renew_lease(self, lease: int, deadline: float) -> bool:
        return self._backend.renew_lease(lease, deadline)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        self._backend.revoke_lease(lease, deadline)

    def receipt(self, project_id: str, key: str, deadline: float) -> IdempotencyRecord | None:
        return self._backend.receipt(project_id, key, deadline)

    def start(self) -> None:
        """Start answering :meth:`refresh`."""
        self._heads.start()
        self._bumps.start()

    @property
    def alive(self) -> bool:
        """Whether :meth:`refresh` is being answered, be it with an error."""
        return self._heads.alive and self._bumps.alive

    def stop(self) -> None:
        """Stop; the backend is the caller's to close."""
        self._heads.stop()
        self._bumps.stop()
