"""What the domain needs from outside, as Protocols; the rooms that provide it do not know each other.

Deadlines are instants of :meth:`Clock.monotonic`, in seconds.  Every call that takes one raises
:class:`~factstore.core.errors.Unavailable` when it could not do its work by then, and only
:meth:`Store.commit` may raise :class:`~factstore.core.errors.OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from factstore.core.model.event import Event, Mutation, Record, Step, StepResult
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.record_key import RecordKindName
from factstore.core.model.transaction import IdempotencyRecord, Transaction
from factstore.core.state.state import State


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def monotonic(self) -> float:
        """Seconds that only ever grow."""

    def timestamp(self) -> str:
        """The present moment as ISO 8601 in UTC."""


class WakeUp(Protocol):
    """A :class:`threading.Event`, or its like for greenlets."""

    def set(self) -> object: ...

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> object: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a store holds at one revision, and under which epoch."""

    epoch: str
    revision: int
    mutations: Sequence[Mutation]


class Backend(Protocol):
    """A database of facts: etcd, or memory.  One contract suite holds both to this."""

    def open(self) -> Snapshot:
        """Read the oldest state from which everything since can still be followed."""

    def follow(self, after: int) -> Iterator[Step]:
        """Yield every step after a revision, whole and in order, waiting for the next for ever.

        :raises CursorExpired: that history is gone, or belongs to another epoch: open again.
        :raises Unavailable: the connection was lost: follow again.
        """

    def interrupt(self) -> None:
        """Make a running :meth:`follow` raise Unavailable."""

    def head(self, deadline: float) -> int:
        """The newest revision, linearizably.

        :raises CursorExpired: the database is not the one that was opened.
        """

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        """Write, and return the revision; None when a guard did not hold."""

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """At most *limit* facts of a stack that follow the path *after*, as they stood at a revision.

        :raises CursorExpired: the revision is compacted.
        """

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """At most *limit* stacks of a project that follow the name *after*, as they stood then."""

    def records_at(
        self, stack: Stack, kind: RecordKindName, revision: int, deadline: float
    ) -> list[Record]:
        """All records of a kind, by name, as they stood at a revision.

        :raises CursorExpired: the revision is compacted.
        """

    def create_lease(self, ttl: int, deadline: float) -> int:
        """A new lease that ends *ttl* seconds after its last renewal, never earlier."""

    def renew_lease(self, lease: int, deadline: float) -> bool:
        """Start a lease's time anew; False when it has ended."""

    def revoke_lease(self, lease: int, deadline: float) -> None:
        """End a lease and remove what hangs on it."""

    def idempotency_record(
        self, project_id: str, key: str, deadline: float
    ) -> IdempotencyRecord | None:
        """What is kept under an idempotency key."""

    def bump_revision(self, deadline: float) -> int:
        """Write something that means nothing, so that :meth:`follow` yields a step; its revision."""

    def purge_deleted(self, deadline: float) -> None:
        """Remove what deleted stacks left behind."""

    def compact(self, revision: int, deadline: float) -> None:
        """Give up the history before a revision."""

    def close(self) -> None:
        """Let go of connections; the object is of no use afterwards."""


class Store(Protocol):
    """A database together with an in-memory state that follows it."""

    @property
    def epoch(self) -> str:
        """Which life of the store this is."""

    def state(self) -> State:
        """The state as known here now; it may lag behind the database.

        :raises Unavailable: nothing is known yet.
        """

    def refresh(self, deadline: float) -> State:
        """The state, no older than the database's head at the time of this call."""

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        """As :meth:`Backend.commit`; afterwards the state holds what was written."""

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]: ...

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]: ...

    def records_at(
        self, stack: Stack, kind: RecordKindName, revision: int, deadline: float
    ) -> list[Record]: ...

    def create_lease(self, ttl: int, deadline: float) -> int: ...

    def renew_lease(self, lease: int, deadline: float) -> bool: ...

    def revoke_lease(self, lease: int, deadline: float) -> None: ...

    def idempotency_record(
        self, project_id: str, key: str, deadline: float
    ) -> IdempotencyRecord | None: ...


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one scope in order.

    :param upto: everything of the scope up to this revision has been told.
    :param more: there are further events already.
    """

    events: tuple[Event, ...]
    upto: int
    more: bool


class EventSource(Protocol):
    """Recent events, and word of new ones."""

    @property
    def revision(self) -> int:
        """Everything up to here has been published."""

    @property
    def closing(self) -> bool:
        """Whether readers should leave."""

    def read(self, scope: Scope, after: int, *, events: int, size: int) -> EventBatch:
        """The scope's next events after a revision, at most so many and about so many bytes.

        :raises CursorExpired: the history after that revision is no longer held.
        """

    def wait(self, scope: Scope, after: int, timeout: float) -> bool:
        """Wait until the scope has an event after a revision; False after *timeout* seconds.

        Returns True early when readers should leave or the history was renewed.
        """

    def wait_change(self, scope: Scope, after: int, timeout: float) -> bool:
        """Wait as :meth:`wait` does, for any change instead of an event."""


class StateMachine(Protocol):
    """Who takes in a database's steps: the state, then the events' readers."""

    def load(self, opening: Snapshot) -> None: ...

    def apply(self, step: Step) -> StepResult: ...
