"""The pending waiters of one stack: followed change by change, judged at the end of each revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from factstore.core.model.condition import Definition
from factstore.core.model.event import Record
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.record_key import RecordKindName
from factstore.core.model.waiter import Progress, Signal, Waiter, WaiterState
from factstore.core.state.condition_tracker import Tracker


class Contents(Protocol):
    """What a waiter may be about."""

    stack: Stack
    facts: dict[str, Fact]
    live_members: dict[str, Member]
    applied: dict[str, int]
    target: int
    records: dict[RecordKindName, dict[str, Record]]

    def signals(self, waiter: str) -> dict[str, Signal]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pending waiter came to, as found at a revision; somebody has yet to write it down."""

    stack: Stack
    waiter: Waiter
    state: WaiterState
    revision: int
    progress: Progress
    reason: str


@dataclass(slots=True)
class _Followed:
    waiter: Waiter
    tracker: Tracker
    best: int


@dataclass(slots=True, eq=False)
class PendingWaiters:
    """The waiters of a stack that are pending.

    A verdict stands until the waiter's record changes, whatever happens meanwhile: so all who follow
    the same history come to the same.

    :param verdicts: by waiter.
    :param advanced: waiters whose progress starts their timeout anew.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    advanced: dict[str, Waiter] = field(default_factory=dict)
    _followed: dict[str, _Followed] = field(default_factory=dict)
    _looked_at: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._followed)

    def trackers(self) -> Iterator[Tracker]:
        """Those of all waiters, to be told of a change."""
        for followed in self._followed.values():
            yield followed.tracker

    def tracker(self, waiter: str) -> Tracker | None:
        """How a pending waiter stands; None if it is not pending."""
        followed = self._followed.get(waiter)
        return followed.tracker if followed else None

    def schedule(self, waiter: str) -> None:
        """It was armed, or its timer went: :meth:`judge` shall see to it."""
        self._looked_at.add(waiter)

    def forget(self, waiter: str) -> None:
        """It is another waiter from now on, or none."""
        self._followed.pop(waiter, None)
        self.outcomes.pop(waiter, None)
        self.advanced.pop(waiter, None)
        self._looked_at.discard(waiter)

    def evaluate_waiters(self, contents: Contents, revision: int) -> None:
        """What do the waiters come to, now that all changes of a revision were told?"""
        timers = contents.records["timer"]
        for name in self._looked_at:
            waiter = contents.records["waiter"].get(name)
            if not isinstance(waiter, Waiter) or waiter.state != "pending":
                continue
            if name not in self._followed:
                definition = Definition.parse(waiter.definition)
                tracker = Tracker.of(definition, _View(contents, name))
                best = tracker.progress().satisfied if waiter.extends else 0
                self._followed[name] = _Followed(waiter, tracker, best)
        for name, followed in self._followed.items():
            if name in self.outcomes:
                continue
            waiter, tracker = followed.waiter, followed.tracker
            state: WaiterState | None = tracker.verdict()
            if state is None and name in self._looked_at and name not in timers:
                state = "timed_out"
            if state is not None:
                self.outcomes[name] = Outcome(
                    contents.stack,
                    waiter,
                    state,
                    revision,
                    tracker.progress(),
                    tracker.reason(),
                )
            elif waiter.extends:
                satisfied = tracker.progress().satisfied
                if satisfied > followed.best:
                    followed.best = satisfied
                    self.advanced[name] = waiter
        self._looked_at.clear()


class _View:
    """A stack as one of its waiters looks at it."""

    def __init__(self, contents: Contents, waiter: str) -> None:
        self.facts: Mapping[str, Fact] = contents.facts
        self.members: Mapping[str, Member] = contents.live_members
        self.applied: Mapping[str, int] = contents.applied
        self.target = contents.target
        self.signals: Mapping[str, Signal] = contents.signals(waiter)
