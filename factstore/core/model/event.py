"""What changes: the store's own mutations, and the events that readers see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from factstore.core.model.data_key import DataKey
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied, Member
from factstore.core.model.record_key import RecordKey
from factstore.core.model.waiter import Signal, Timer, Waiter

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
    "stack.delete",
]
CHANGE_TYPES: tuple[ChangeType, ...] = get_args(ChangeType)


@dataclass(frozen=True, slots=True)
class DeletionMarker:
    """Up to which revision what went from a stack is known to have moved its target.

    What is there names the revision that wrote it; what is gone does not.
    """

    seen: int
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return DELETION_MARKER


DELETION_MARKER = RecordKey("mark", "dropped")

Record = Member | Applied | Waiter | Timer | Signal | DeletionMarker | Grant | DataKey
"""What lies in a stack beside its facts."""


@dataclass(frozen=True, slots=True)
class PutStack:
    """A stack's record was written."""

    stack: Stack


@dataclass(frozen=True, slots=True)
class DropStack:
    """A stack's record was removed."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class PutFact:
    """A fact was written in the stack with this id."""

    stack_id: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class DropFact:
    """A fact is gone.

    It was deleted if the same step has its :class:`DeletionAuthor`; else it expired.
    """

    stack_id: str
    path: str


@dataclass(frozen=True, slots=True)
class PutRecord:
    """A record was written in the stack with this id."""

    stack_id: str
    record: Record


@dataclass(frozen=True, slots=True)
class DropRecord:
    """A record went."""

    stack_id: str
    place: RecordKey


@dataclass(frozen=True, slots=True)
class DeletionAuthor:
    """Who deleted what: a store's delete carries no author, and an expiry looks just like one."""

    stack_id: str
    user_id: str
    request_id: str
    paths: tuple[str, ...] = ()
    whole_stack: bool = False


Mutation = PutStack | DropStack | PutFact | DropFact | PutRecord | DropRecord | DeletionAuthor


@dataclass(frozen=True, slots=True)
class Step:
    """All mutations of one revision, in the order in which the store made them."""

    revision: int
    mutations: tuple[Mutation, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of an event.

    :param path: None for a change of anything but a fact.
    :param record: the member or waiter as it is now; None once it is gone.
    :param former: the member as it was; None if there was none.
    :param reason: why a member joined or departed, or a waiter became what it is.
    """

    type: ChangeType
    path: str | None
    fact: Fact | None
    previous: Fact | None
    by: str | None
    request_id: str | None
    record: Member | Waiter | None = None
    former: Member | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """All changes of one revision in one stack; delivered whole or not at all."""

    scope: Scope
    stack_id: str
    revision: int
    changes: tuple[Change, ...]
    memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Room for readers to keep what they rendered; it goes with the event."""

    @property
    def size(self) -> int:
        """About how many bytes of memory it holds, once it has been rendered too."""
        held = 600
        for change in self.changes:
            held += 400
            for fact in (change.fact, change.previous):
                held += 600 + 3 * fact.size if fact else 0
            for record in (change.record, change.former):
                held += 600 + 3 * record.size if record else 0
        return held

    @property
    def ends_stack(self) -> bool:
        """Whether the stack is gone after this event."""
        return any(change.type == "stack.delete" for change in self.changes)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did to the state.

    :param events: one for each stack with changes that watchers see.
    :param touched: the stacks in which anything changed, those of the events included.
    """

    events: tuple[Event, ...] = ()
    touched: frozenset[Scope] = frozenset()
