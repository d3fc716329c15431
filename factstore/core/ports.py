"""The interfaces that the domain requires, as Protocols.

Deadlines are instants of :meth:`Clock.monotonic`, in seconds.  Every call with a deadline raises
:class:`~factstore.core.errors.Unavailable` if it has not finished by then.  Only
:meth:`Store.commit` raises :class:`~factstore.core.errors.OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from factstore.core.history_store import HistoryStore
from factstore.core.lease_store import LeaseStore
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DeletionAuthor, Event
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R
from factstore.core.model.stack_selection import Watched
from factstore.core.model.transaction import Transaction
from factstore.core.state.state import State


class Clock(Protocol):
    """A clock, injected so that tests control time."""

    def monotonic(self) -> float:
        """Return seconds that never decrease."""

    def timestamp(self) -> str:
        """Return the current time in ISO 8601, in UTC."""


class WakeUp(Protocol):
    """A :class:`threading.Event`, or an equivalent for greenlets."""

    def set(self) -> object: ...

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> object: ...


class Started(Protocol):
    """A commit or a refresh that was started without waiting."""

    def expire(self, now: float) -> None:
        """End it if it takes too long."""


CommitEnded = Callable[[int | None, Exception | None], object]
"""Receives what a commit returns, and the error that it would raise instead."""


class Visibility(Protocol):
    """The state in which a write has to be visible before it is acknowledged."""

    @property
    def observe_lag(self) -> Callable[[float], object]:
        """Receives, for each write, the seconds from its end until the state included it."""

    def call_when_reached(self, revision: int, reached: Callable[[], object]) -> bool:
        """Return True if the state has reached a revision; otherwise, call a function when it has."""


class PastReads(Protocol):
    """Reads of what a state does not show: of the past, and of what earlier versions have stored."""

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """Return at most *limit* facts of a stack after the path *after*, as of a revision.

        :raises CursorExpired: the revision is compacted.
        """

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """Return at most *limit* stacks of a project after the name *after*, as of a revision.

        :raises CursorExpired: the revision is compacted.
        """

    def records_at(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
        """Return all records of a kind, ordered by name, as of a revision.

        :raises CursorExpired: the revision is compacted.
        """

    def earlier_receipt(
        self, project_id: str, key: str, epoch: str, deadline: float
    ) -> Receipt | None:
        """Return the receipt that an earlier version stored outside the stack, or None.

        :param epoch: of the state with which the receipt is compared.
        :raises CursorExpired: the receipt may be that of another store.
        """

    def deletion_revision(self, author: DeletionAuthor, after: int, deadline: float) -> int | None:
        """Return the revision of a deletion after a revision; None if no note names its author."""


class Backend(HistoryStore, LeaseStore, PastReads, Protocol):
    """A database of facts: etcd or memory.  One contract suite tests both."""

    def head(self, deadline: float) -> int:
        """Return the newest revision, by a linearizable read.

        :raises CursorExpired: the database is not the one that was opened.
        """

    def start_head(self, ended: Callable[[int | None], object]) -> bool:
        """Start :meth:`head` without waiting; return False if that is not possible.

        :param ended: called with the revision, or with None if :meth:`head` has to be called.
        """

    def defer(self, call: Callable[[], object]) -> None:
        """Call a function soon, before that is sent which was started meanwhile; or at once."""

    def commit(self, transaction: Transaction, deadline: float) -> int | None:
        """Write a transaction; return its revision, or None if a guard failed."""

    def start_commit(
        self, transaction: Transaction, deadline: float, ended: CommitEnded, visibility: Visibility
    ) -> Started | None:
        """Start :meth:`commit` without waiting; return None if that is not possible.

        :param visibility: includes a write that succeeded before *ended* is called, unless that takes
            too long.
        """

    def raise_fence(self, deadline: float) -> int:
        """Ensure that no earlier attempt to write is applied from now on.

        :return: a revision that is not older than those of the attempts that were applied.
        :raises StorageFull: nothing can be written.
        """

    def bump_revision(self, deadline: float) -> int:
        """Write a key without meaning, so that :meth:`follow` yields a step; return its revision.

        :raises CursorExpired: the database is not the one that was opened.
        """

    def purge_deleted(self, deadline: float) -> None:
        """Delete the remains of deleted stacks."""

    def compact(self, revision: int, deadline: float) -> None:
        """Discard the history before a revision."""

    def close(self) -> None:
        """Close all connections; the object cannot be used afterwards."""


class Store(LeaseStore, PastReads, Protocol):
    """A database and an in-memory state that follows it."""

    def state(self) -> State:
        """Return the state of this worker, which may lag behind the database.

        If the store is wiped or restored, another state with another epoch takes its place.

        :raises Unavailable: the state has not been loaded yet.
        """

    def refresh(self, deadline: float) -> State:
        """Return a state that is no older than the database's head at the time of this call."""

    def start_refresh(
        self, timeout: float, ended: Callable[[State | None], object]
    ) -> Started | None:
        """Start :meth:`refresh` without waiting; return None if that is not possible.

        :param timeout: seconds after which it fails.
        :param ended: called with the state, or with None if :meth:`refresh` has to be called.
        """

    def fence(self, deadline: float) -> State:
        """Ensure that no earlier attempt to write is applied from now on.

        :return: a state that includes all those that were applied.
        :raises StorageFull: nothing can be written.
        """

    def commit(self, transaction: Transaction, deadline: float) -> int | None:
        """Write a transaction, as :meth:`Backend.commit`; afterwards the state contains the write."""

    def start_commit(
        self, transaction: Transaction, deadline: float, ended: CommitEnded
    ) -> Started | None: ...


@quick_dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one stack or of a selection, in order.

    :param upto: the revision up to which the batch is complete.
    :param more: True if further events are available.
    """

    events: tuple[Event, ...]
    upto: int
    more: bool


@quick_dataclass(frozen=True, slots=True)
class Kept:
    """A number of events in memory, and their approximate bytes."""

    events: int
    bytes: int


class EventSource(Protocol):
    """Recent events, and notifications of new ones."""

    @property
    def limits(self) -> Kept:
        """The maximum of events in memory, of all stacks."""

    def kept(self, project_id: str | None = None) -> dict[Scope, Kept]:
        """Return what is kept of each stack, of one project or of all."""

    def floor(self, scope: Scope, epoch: str) -> int:
        """Return the oldest revision from which the history of a stack is complete.

        :raises CursorExpired: the events are those of another store.
        :raises Unavailable: older history is being read, for too long or for a caller that cannot wait.
        """

    def keeps(self, scope: Scope, after: Cursor) -> bool:
        """Return True if the history of a stack after a cursor is in memory.

        :raises Unavailable: that history is being read, as for :meth:`floor`.
        """

    @property
    def cursor(self) -> Cursor:
        """The newest revision that has been published, and the epoch of its store."""

    def has_published(self, at: Cursor) -> bool:
        """Return True if the events of a store up to a cursor have been published."""

    @property
    def closing(self) -> bool:
        """True if readers are to stop."""

    def read(self, of: Watched, after: Cursor, *, events: int, size: int) -> EventBatch:
        """Return the next events of a stack or of a selection after a cursor.

        A batch ends with a revision, not within one.

        :param events: the maximum number of events, unless one revision has more.
        :param size: the approximate maximum of bytes, unless one revision has more.
        :raises CursorExpired: the history after that cursor is no longer in memory, of any stack, or is
            that of another store.
        :raises Unavailable: that history is being read, as for :meth:`floor`.
        """

    def wait(self, of: Watched, after: Cursor, timeout: float) -> bool:
        """Wait until there is an event after a cursor; return False after *timeout* seconds.

        Return True early if readers are to stop or the history was reset; at once if the events are
        those of another store.
        """

    def wait_concern(self, scope: Scope, read_set: str, after: Cursor, timeout: float) -> bool:
        """Wait as :meth:`wait` does, for a change that concerns a read set, by its digest."""

    def quiet_since(self, scope: Scope, read_set: str = "", *, unless_of: str = "") -> float:
        """Return the instant of a stack's last event, or of the reset of the history after it.

        :param read_set: the digest of a read set: the last event that concerned it.
        :param unless_of: a member whose own events do not count.
        """

    def grown_at(self, scope: Scope) -> float:
        """Return the instant at which a member joined or a fact was created, as far as it is known."""

    def pause(self, scope: Scope, seconds: float) -> None:
        """Wait for a time; return early if the stack is deleted, or as :meth:`wait` does."""

    def wait_change(self, scope: Scope, after: Cursor, timeout: float) -> bool:
        """Wait as :meth:`wait` does, for any change instead of an event."""
