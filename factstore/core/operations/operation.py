"""The vocabulary of writes: an operation plans a draft on a view of one stack.

Planning is pure.  An operation knows neither the store nor the clock: leases are requested in the
draft, and the :class:`~factstore.core.operations.transactor.Transactor` does everything around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Fact, Scope, Stack
from factstore.core.model.member import Member
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.model.transaction import Transaction
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State

if TYPE_CHECKING:
    from factstore.core.operations.idempotency import Idempotency

T_co = TypeVar("T_co", covariant=True)


class View:
    """One stack as an operation sees it, while the state's lock is held.

    :ivar stack_state: everything in the stack; None if the stack is missing.
    :ivar now: the present moment, ISO 8601 in UTC.
    :ivar full: True if the store accepts nothing but deletions.
    """

    __slots__ = ("_new_stack", "_stack", "full", "now", "scope", "stack_state", "state")

    def __init__(
        self,
        state: State,
        scope: Scope,
        now: str,
        new_stack: Callable[[], Stack] | None = None,
        *,
        full: bool = False,
    ) -> None:
        """:param new_stack: makes the record of a missing stack; None if it must exist."""
        self.full = full
        self.state = state
        self.scope = scope
        self.now = now
        self.stack_state: StackState | None = state.stack_state(scope)
        self._stack: Stack | None = self.stack_state.stack if self.stack_state else None
        self._new_stack = new_stack

    @property
    def stack(self) -> Stack:
        """Return the stack's record: the stored one, or a new one if the operation may create it.

        :raises NotFound: the stack is missing and the operation may not create it.
        """
        if self._stack is None:
            if self._new_stack is None:
                raise stack_missing(self.scope)
            self._stack = self._new_stack()
        return self._stack

    def fact(self, path: str) -> Fact | None:
        """Return the fact at a path, or None."""
        return self.stack_state.facts.get(path) if self.stack_state else None

    def covered(self, prefix: str) -> list[str]:
        """Return the paths of the facts at and below a path, in order."""
        return list(self.stack_state.covered(prefix)) if self.stack_state else []

    def record(self, key: RecordKey) -> Record | None:
        """Return the record with that key, a departed member's included, or None."""
        return self.stack_state.record(key) if self.stack_state else None

    def member(self, name: str) -> Member | None:
        """Return the living member of that name, or None."""
        return self.stack_state.live_members.get(name) if self.stack_state else None


@quick_dataclass(frozen=True, slots=True, eq=False)
class LeaseRequest:
    """A lease for a fact or record of a draft.  Two entries with the same request share the lease.

    :param ttl: seconds.
    :param keep: a lease that is renewed and kept; if it has ended, a new one is made.
    :param brief: revoke the lease, and so remove the record, as soon as the write is durable.
    :param shared: the lease to keep is that of other records, whose time does not start again.
    :param monitored: make a monitored lease, with a pulse, because it is to be renewed.
    :param pulse_of: make no other lease than that of the pulse of this monitored lease.
    """

    ttl: int
    keep: int = 0
    brief: bool = False
    shared: bool = False
    monitored: bool = False
    pulse_of: int = 0


@quick_dataclass(frozen=True, slots=True)
class Draft(Generic[T_co]):
    """The writes that an operation plans, their guards, and the outcome to return.

    :param outcome: returned to the caller once the write is durable.
    :param fact_revisions: the facts it was decided on: path to revision, 0 for absent.
    :param record_revisions: the records it was decided on: key to revision, 0 for absent.
    :param stack: the stack's record as it becomes; None if that does not change.
    :param confirms_stack: ask the store whether the stack's record still is as it was.
    :param emptied: paths at and below which no fact may have been created since the plan.
    :param leases: by path or record key, the lease that the fact or record is attached to.
    :param renews: leases that must be alive, and start their time again.
    :param ends: leases that are of no use once the write is durable.
    """

    outcome: T_co
    puts: tuple[Fact, ...] = ()
    deletes: tuple[str, ...] = ()
    fact_revisions: dict[str, int] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    removes: tuple[RecordKey, ...] = ()
    cleared_waiters: tuple[str, ...] = ()
    record_revisions: dict[RecordKey, int] = field(default_factory=dict)
    stack: Stack | None = None
    drops_stack: bool = False
    confirms_stack: bool = False
    emptied: tuple[str, ...] = ()
    leases: Mapping[str | RecordKey, LeaseRequest] = field(default_factory=dict)
    renews: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def changes(self) -> bool:
        """Return whether there is anything to write."""
        return bool(
            self.puts
            or self.deletes
            or self.records
            or self.removes
            or self.cleared_waiters
            or self.stack
            or self.drops_stack
        )

    @property
    def uses_leases(self) -> bool:
        """Return whether leases are made, renewed or ended for it."""
        return bool(self.leases or self.renews or self.ends)

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to write and nothing to confirm."""
        confirms = self.fact_revisions or self.record_revisions or self.emptied
        return not (self.changes or confirms or self.confirms_stack)


class Operation(ABC, Generic[T_co]):
    """One request to write to one stack.

    :cvar may_create_stack: whether a missing stack is created by it.
    :cvar counts_toward_quota: whether the project's quota limits it; an operation that ends or
        continues something that exists is never refused for being a few bytes larger.
    :ivar author: None if the service itself is the author.
    :ivar idempotency: the caller's promise that requests with its key are one.
    """

    may_create_stack: ClassVar[bool] = False
    counts_toward_quota: ClassVar[bool] = True

    scope: Scope
    author: Author | None
    idempotency: Idempotency | None = None

    @property
    def creates_stack(self) -> bool:
        """Return whether this request may create a missing stack."""
        return self.may_create_stack

    @abstractmethod
    def plan(self, view: View) -> Draft[T_co]:
        """Return what to write.

        :raises FactstoreError: a refusal; the transactor plans again on a fresh state before it
            refuses.
        """

    def to_receipt(self, view: View, draft: Draft[T_co]) -> Receipt:
        """Return the receipt of the draft's outcome; needed only with an idempotency key."""
        raise TypeError(f"{type(self).__name__} takes no idempotency key")

    def replay(self, receipt: Receipt, view: View) -> T_co:
        """Return the outcome that was stored for this request.

        :raises Conflict: ``idempotency_key_reused``: the key was used for another request.
        """
        raise TypeError(f"{type(self).__name__} takes no idempotency key")


@quick_dataclass(frozen=True, slots=True)
class Committed(Generic[T_co]):
    """A write that is durable.

    :param cursor: at which it is valid; where nothing changed, one at which it was confirmed.
    :param transaction: as it was written, with leases; None if the outcome was stored earlier.
    """

    outcome: T_co
    cursor: Cursor
    transaction: Transaction | None = None

    def written_record(self, record: R) -> R:
        """Return the record with its lease and revision; unchanged if it was not written."""
        for written in self.transaction.records if self.transaction else ():
            if type(written) is type(record) and written.record_key == record.record_key:
                return replace(written, revision=self.cursor.revision)
        return record


def stack_missing(scope: Scope) -> NotFound:
    """Return the refusal of a request about a stack that does not exist."""
    return NotFound(f"There is no stack named {quoted(scope.stack)}.")
