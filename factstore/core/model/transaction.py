"""One atomic write and its guards."""

from __future__ import annotations

from dataclasses import dataclass, field

from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.record import Record, RecordKey


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """The stored outcome of a request that had an ``Idempotency-Key``.

    :param key: a hash of project, user, route and the caller's key, of fixed length.
    :param text: JSON: the request's fingerprint, and the response except for its revision.
    :param revision: of the write that stored it; 0 before it is stored.
    """

    project_id: str
    key: str
    text: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Transaction:
    """One atomic write.

    It is applied only if the stack is still the one it was planned on (or still missing, if the
    transaction creates it), every path in *fact_revisions* is still at that revision (0: absent), no
    fact exists above or below *new_paths*, every record in *record_revisions* is still
    at that revision (0: absent), and the idempotency key is new.  A transaction that changes nothing
    and has no idempotency record writes nothing and confirms the guards.

    :param stack: the stack's record after the write.
    :param base_revision: the revision of the state on which it was planned.
    :param epoch: the epoch of that state; nothing is written in another epoch.  Empty for any.
    :param cleared_waiters: waiters whose signals are all deleted.
    :param author: the author of its deletions.
    """

    stack: Stack
    base_revision: int
    epoch: str = ""
    creates_stack: bool = False
    updates_stack: bool = False
    drops_stack: bool = False
    fact_revisions: dict[str, int] = field(default_factory=dict)
    new_paths: tuple[str, ...] = ()
    puts: tuple[Fact, ...] = ()
    deletes: tuple[str, ...] = ()
    record_revisions: dict[RecordKey, int] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    removes: tuple[RecordKey, ...] = ()
    cleared_waiters: tuple[str, ...] = ()
    author: DeletionAuthor | None = None
    idempotency: IdempotencyRecord | None = None

    @property
    def writes(self) -> bool:
        """True if the transaction makes a revision; False if it only confirms its guards."""
        return bool(
            self.puts
            or self.deletes
            or self.records
            or self.removes
            or self.cleared_waiters
            or self.idempotency
            or self.creates_stack
            or self.updates_stack
            or self.drops_stack
        )
