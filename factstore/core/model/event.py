"""The store's mutations, and the events that readers receive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import groupby
from typing import Literal, get_args

from factstore.core.model.alarm import Alarm
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.member import Member
from factstore.core.model.path import OWN_FOLDERS, RESULTS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.waiter import Waiter

ChangeType = Literal[
    "fact.put",
    "fact.delete",
    "fact.expire",
    "member.join",
    "member.change",
    "member.depart",
    "member.expire",
    "waiter.met",
    "waiter.failed",
    "waiter.timed_out",
    "waiter.history_lost",
    "alarm.raised",
    "alarm.cleared",
    "alarm.no_data",
    "alarm.repeated",
    "alarm.history_lost",
    "stack.stuck",
    "stack.unstuck",
    "stack.flapping",
    "stack.delete",
]
CHANGE_TYPES: tuple[ChangeType, ...] = get_args(ChangeType)


@quick_dataclass(frozen=True, slots=True)
class DeletionMarker(Record):
    """The last revision at which a deletion moved the stack's target.

    Deleted facts and records leave no revision behind, so it is recorded here.

    :param deletions: the newest deletions by path, for members with a read set; None if all deletions
        concern all members.  An empty path stands for all paths.
    """

    seen: int
    deletions: Mapping[str, int] | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return DELETION_MARKER


DELETION_MARKER = RecordKey(DeletionMarker, "dropped")


@quick_dataclass(frozen=True, slots=True)
class PutStack:
    """A stack's record was written."""

    stack: Stack


@quick_dataclass(frozen=True, slots=True)
class DropStack:
    """A stack's record was removed."""

    scope: Scope


@quick_dataclass(frozen=True, slots=True)
class PutFact:
    """A fact was written in the stack with this id."""

    stack_id: str
    fact: Fact


@quick_dataclass(frozen=True, slots=True)
class PutFacts:
    """Several facts are in the stack with this id; only contents that are loaded have them together."""

    stack_id: str
    facts: Sequence[Fact]


@quick_dataclass(frozen=True, slots=True)
class DropFact:
    """A fact was deleted or has expired.

    It was deleted if the same step contains its :class:`DeletionAuthor`; otherwise it expired.
    """

    stack_id: str
    path: str


@quick_dataclass(frozen=True, slots=True)
class PutRecord:
    """A record was written in the stack with this id."""

    stack_id: str
    record: Record


@quick_dataclass(frozen=True, slots=True)
class DropRecord:
    """A record was deleted or has expired."""

    stack_id: str
    record_key: RecordKey


@quick_dataclass(frozen=True, slots=True)
class DeletionAuthor:
    """The author of deletions.

    The store's own delete has no author and cannot be distinguished from an expiry.
    """

    stack_id: str
    user_id: str
    request_id: str
    paths: tuple[str, ...] = ()
    whole_stack: bool = False


Mutation = PutStack | DropStack | PutFact | DropFact | PutRecord | DropRecord | DeletionAuthor

Loaded = Mutation | PutFacts
"""A part of contents that are loaded."""


@quick_dataclass(frozen=True, slots=True)
class Step:
    """All mutations of one revision, in the order in which the store made them."""

    revision: int
    mutations: tuple[Mutation, ...]


@quick_dataclass(frozen=True, slots=True)
class Change:
    """One line of an event.

    :param path: None unless a fact has changed.
    :param record: the member, waiter, alarm or report after the change; None if it was deleted.
    :param former: the member before the change; None if it did not exist.
    :param reason: why the member joined or departed, the waiter ended, the alarm changed, or the stack
        is stuck.
    """

    type: ChangeType
    path: str | None
    fact: Fact | None
    previous: Fact | None
    by: str | None
    request_id: str | None
    record: Member | Waiter | Alarm | StuckReport | FlappingReport | None = None
    former: Member | None = None
    reason: str | None = None

    @property
    def cause(self) -> int:
        """The revision on which the author acted, as it stated; 0 if it stated none, or deleted."""
        record = self.fact or self.record
        return record.cause if isinstance(record, Fact | Member) else 0

    def is_of(self, member: str) -> bool:
        """Return True if it changes a member, one of its own facts, or one of its results."""
        if self.path is not None:
            folder, _, rest = self.path.partition("/")
            return folder in OWN_FOLDERS and rest.startswith(f"{member}/")
        return any(
            isinstance(record, Member) and record.name == member
            for record in (self.record, self.former)
        )


@quick_dataclass(frozen=True, slots=True)
class Event:
    """All changes of one revision in one stack; it is delivered as a whole or not at all."""

    scope: Scope
    stack_id: str
    revision: int
    changes: tuple[Change, ...]
    memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Renderings that readers cache with the event."""
    size: int = field(init=False, compare=False, repr=False)
    """The approximate bytes of memory, including renderings."""
    grows: bool = field(init=False, compare=False, repr=False)
    """True if a member joined, or a fact was created that is not a result."""

    def __post_init__(self) -> None:
        size, grows = 600, False
        for change in self.changes:
            fact, previous = change.fact, change.previous
            size += 400
            if previous is not None:
                size += 600 + 3 * previous.size
            if fact is not None:
                size += 600 + 3 * fact.size
                grows = grows or (fact.version == 1 and not fact.path.startswith(RESULTS))
                continue
            grows = grows or change.type == "member.join"
            for record in (change.record, change.former):
                size += 600 + 3 * (record.size or 0) if record else 0
            size += 3 * len(change.reason or "")
        self.size, self.grows = size, grows  # type: ignore[misc]

    @property
    def ends_stack(self) -> bool:
        """True if the event deletes the stack."""
        return "stack.delete" in [change.type for change in self.changes]

    def is_of(self, member: str) -> bool:
        """Return True if it only changes a member, its own facts and its results."""
        return all(change.is_of(member) for change in self.changes)


def stuck_change(kind: ChangeType, report: StuckReport) -> Change:
    """Return the change of a stack that is reported as stuck, or is not stuck any more."""
    reason = report.reason if kind == "stack.stuck" else None
    return Change(kind, None, None, None, None, None, report, None, reason)


def flapping_change(report: FlappingReport) -> Change:
    """Return the change of a stack in which a path is changed again and again."""
    kind: ChangeType = "stack.flapping"
    return Change(kind, None, None, None, None, None, report, None, report.reason)


def by_revision(events: Iterable[Event]) -> Iterator[tuple[Event, ...]]:
    """Yield the events of each revision; they are ordered by revision."""
    for _, found in groupby(events, key=lambda event: event.revision):
        yield tuple(found)


@quick_dataclass(frozen=True, slots=True)
class StepResult:
    """The effect of a step on the state.

    :param events: one for each stack with changes that watchers receive.
    :param touched: the stacks in which anything changed, including those of the events, with the
        digests of the read sets that are concerned; and the queues of turns that changed.
    """

    events: tuple[Event, ...] = ()
    touched: Mapping[Scope, frozenset[str]] = field(default_factory=dict)
