"""The result of a check: what each project has stored, and the findings."""

from __future__ import annotations

from dataclasses import field

from factstore.core.model.quick_dataclass import quick_dataclass

ADVICE = {
    "epoch_missing": "start a worker, or wait for a running one: it writes a new epoch; cursors and "
    "entity tags of the old one are no longer valid",
    "unknown_key": "if a newer version of factstore uses this store, verify with that version; "
    "otherwise delete the key",
    "unreadable": "if a newer version of factstore wrote the record, verify with that version; "
    "otherwise restore the key from a backup, or delete it",
    "sealed_without_key": "restore the key from a backup, or write the sensitive facts again",
    "orphan": "run factstore verify --repair; the workers then delete the keys",
    "idle_lease": "run factstore verify --repair, which revokes the lease",
}
"""The advice for each kind of finding."""

_BLOCKING = frozenset({"epoch_missing", "unknown_key", "unreadable"})


@quick_dataclass(frozen=True, slots=True)
class Finding:
    """One problem.

    :param kind: one of :data:`ADVICE`.
    :param orphan: the ids of the project and the stack of an orphan.
    :param lease: the id of an idle lease; *key* names it.
    """

    kind: str
    key: bytes
    problem: str
    orphan: tuple[str, str] | None = None
    lease: int = 0

    @property
    def advice(self) -> str:
        """Return what an operator can do about it."""
        return ADVICE[self.kind]


@quick_dataclass(slots=True)
class StackUsage:
    """A stack and its usage, counted as in the API."""

    name: str
    facts: int = 0
    bytes: int = 0


@quick_dataclass(slots=True)
class ProjectContents:
    """Everything whose key contains the id of a project.

    :param stacks: by id.
    :param receipts: the number of receipts of Idempotency-Keys.
    :param subscriptions: the number of subscriptions.
    :param legacy: the number of keys that only earlier versions wrote.
    :param purges: ids of deleted stacks whose data the workers still delete.
    :param orphans: ids without a stack, whose data no worker deletes.
    :param undeletable: the number of keys that can be deleted only by hand.
    """

    stacks: dict[str, StackUsage] = field(default_factory=dict)
    receipts: int = 0
    subscriptions: int = 0
    legacy: int = 0
    purges: set[str] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    undeletable: int = 0

    @property
    def facts(self) -> int:
        """Return the number of facts, and of records that count as one."""
        return sum(stack.facts for stack in self.stacks.values())

    @property
    def bytes(self) -> int:
        """Return the number of bytes, counted as for quotas."""
        return sum(stack.bytes for stack in self.stacks.values())

    @property
    def is_empty(self) -> bool:
        """Return True if no key contains the id of the project."""
        return not (self.in_use or self.orphans or self.undeletable)

    @property
    def in_use(self) -> bool:
        """Return True if there is anything that requests to the API create."""
        kinds = (self.stacks, self.receipts, self.subscriptions, self.legacy, self.purges)
        return any(kinds)


@quick_dataclass(frozen=True, slots=True)
class Report:
    """The result of a check at one revision.

    :param findings: in the order of their keys.
    :param projects: by id.
    :param store_id: the value of the epoch key; empty if the key does not exist.
    :param leases: the leases to which keys are attached.
    """

    findings: tuple[Finding, ...]
    projects: dict[str, ProjectContents]
    store_id: bytes
    revision: int = 0
    leases: frozenset[int] = frozenset()

    @property
    def is_repairable(self) -> bool:
        """Return False if any key is unknown or unreadable: it could refer to an orphan."""
        return not any(finding.kind in _BLOCKING for finding in self.findings)
