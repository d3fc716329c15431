"""One atomic write and its guards."""

from __future__ import annotations

from dataclasses import field

from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.path import ancestors
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

GUARDS = 128  # etcd compares no more in one transaction
OWN_GUARDS = 3  # those that a store adds: on itself, on the stack, and its fence


@quick_dataclass(frozen=True, slots=True)
class TreeGuards:
    """Conditions under which the new paths of a transaction become facts and are no folders.

    :param absent: paths at which there must be no fact.
    :param empty: paths below which there must be no fact.
    :param subtrees: paths at and below which no fact may have been created since the plan; the empty
        path covers all.  A store may also fail such a guard if the name of the new fact's path only
        begins with the guarded one.
    """

    absent: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    subtrees: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """True if there are no conditions, because no fact is created."""
        return not (self.absent or self.empty or self.subtrees)

    def cover(self, path: str) -> bool:
        """Return True if the path is in a guarded subtree, so that no fact was created there."""
        if not self.subtrees:
            return False
        return (
            path in self.subtrees
            or "" in self.subtrees
            or any(above in self.subtrees for above in ancestors(path))
        )


@quick_dataclass(frozen=True, slots=True)
class Transaction:
    """One atomic write.

    It is applied only if the stack is still the one it was planned on (or still missing, if the
    transaction creates it), every path in *fact_revisions* is still at that revision (0: absent), the
    guards in *tree* hold, and every record in *record_revisions* is still at that revision (0: absent).
    These are at most :data:`GUARDS`.  A transaction that changes nothing only confirms the guards.

    :param stack: the stack's record after the write.
    :param base_revision: the revision of the state on which it was planned.
    :param epoch: the epoch of that state; nothing is written in another epoch.  Empty for any.
    :param cleared_waiters: waiters whose signals are all deleted.
    :param author: the author of its deletions.
    :param only_deletes: True if the store is full: it accepts no key, not even the mark of a purge.
    """

    stack: Stack
    base_revision: int
    epoch: str = ""
    creates_stack: bool = False
    updates_stack: bool = False
    drops_stack: bool = False
    fact_revisions: dict[str, int] = field(default_factory=dict)
    tree: TreeGuards = TreeGuards()
    puts: tuple[Fact, ...] = ()
    deletes: tuple[str, ...] = ()
    record_revisions: dict[RecordKey, int] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    removes: tuple[RecordKey, ...] = ()
    cleared_waiters: tuple[str, ...] = ()
    author: DeletionAuthor | None = None
    only_deletes: bool = False

    @property
    def needs_room(self) -> bool:
        """True if the transaction stores anything besides notes about deletions."""
        return bool(self.puts or self.records or self.creates_stack or self.updates_stack)

    @property
    def writes(self) -> bool:
        """True if the transaction makes a revision; False if it only confirms its guards."""
        return bool(
            self.puts
            or self.deletes
            or self.records
            or self.removes
            or self.cleared_waiters
            or self.creates_stack
            or self.updates_stack
            or self.drops_stack
        )
