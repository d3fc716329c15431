"""The pending waiters of one stack, updated by each change and evaluated after each revision."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from factstore.core.model.definition import Definition
from factstore.core.model.event import Change, ChangeType
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.record import R, Record
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter, WaiterState
from factstore.core.state.condition_tracker import Tracker
from factstore.core.state.convergence import Convergence


class Contents(Protocol):
    """The parts of a stack that conditions refer to."""

    stack: Stack
    facts: dict[str, Fact]
    live_members: dict[str, Member]
    convergence: Convergence

    def records(self, kind: type[R]) -> Mapping[str, R]: ...

    def signals(self, waiter: str) -> dict[str, Signal]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a pending waiter, found at a revision and not yet written."""

    stack: Stack
    waiter: Waiter
    state: WaiterState
    revision: int
    progress: Progress
    reason: str


@dataclass(slots=True)
class _Tracked:
    waiter: Waiter
    tracker: Tracker
    best: int


@dataclass(slots=True, eq=False)
class PendingWaiters:
    """The waiters of a stack that are pending.

    An outcome is final until the waiter's record changes, even if the stack changes.  So all workers
    that follow the same history find the same outcome.

    :param outcomes: by waiter.
    :param advanced: waiters whose progress restarts their timeout, by name.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    advanced: dict[str, Waiter] = field(default_factory=dict)
    _tracked: dict[str, _Tracked] = field(default_factory=dict)
    _scheduled: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        """Return the number of pending waiters."""
        return len(self._tracked)

    def waiters(self) -> Iterator[Waiter]:
        """Yield the waiters."""
        for tracked in self._tracked.values():
            yield tracked.waiter

    def trackers(self) -> Iterator[Tracker]:
        """Yield the trackers of all waiters."""
        for tracked in self._tracked.values():
            yield tracked.tracker

    def tracker(self, waiter: str) -> Tracker | None:
        """Return the tracker of a pending waiter; None if it is not pending."""
        tracked = self._tracked.get(waiter)
        return tracked.tracker if tracked else None

    def progress(self, waiter: Waiter) -> Progress:
        """Return the progress of a waiter: the present one, or the one with which it ended."""
        tracker = self.tracker(waiter.name)
        return waiter.progress or (tracker.progress() if tracker else Progress())

    def note_signal(self, signal: Signal, key: str, *, exists: bool) -> None:
        """Record that a signal was sent, or was deleted."""
        if (tracker := self.tracker(signal.waiter)) is not None:
            tracker.signal(key, signal if exists else None)

    def put(self, waiter: Waiter, former: Record | None) -> Change | None:
        """Record a waiter's record, and return the change for watchers, or None."""
        self.forget(waiter.name)
        if waiter.state == "pending":
            self.schedule(waiter.name)
            return None
        if not (isinstance(former, Waiter) and former.state == "pending"):
            return None
        kind: ChangeType = f"waiter.{waiter.state}"  # type: ignore[assignment]
        return Change(kind, None, None, None, None, None, waiter, None, waiter.reason)

    def schedule(self, waiter: str) -> None:
        """Evaluate a waiter at the end of the revision: it was armed, or its timer expired."""
        self._scheduled.add(waiter)

    def forget(self, waiter: str) -> None:
        """Discard a waiter: it was armed again, has ended, or was deleted."""
        self._tracked.pop(waiter, None)
        self.outcomes.pop(waiter, None)
        self.advanced.pop(waiter, None)
        self._scheduled.discard(waiter)

    def evaluate_waiters(self, contents: Contents, revision: int) -> None:
        """Find outcomes at the end of a revision."""
        timers = contents.records(Timer)
        for name in self._scheduled:
            waiter = contents.records(Waiter).get(name)
            if waiter is None or waiter.state != "pending":
                continue
            if name not in self._tracked:
                definition = Definition.parse(waiter.definition)
                tracker = Tracker.of(definition, ConditionView(contents, name))
                best = tracker.progress().satisfied if waiter.extends else 0
                self._tracked[name] = _Tracked(waiter, tracker, best)
        for name, tracked in self._tracked.items():
            if name in self.outcomes:
                continue
            waiter, tracker = tracked.waiter, tracked.tracker
            state: WaiterState | None = tracker.verdict()
            if state is None and name in self._scheduled and name not in timers:
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
                if satisfied > tracked.best:
                    tracked.best = satisfied
                    self.advanced[name] = waiter
        self._scheduled.clear()


class ConditionView:
    """The input of the conditions of one waiter, or of an alarm, which has no signals."""

    def __init__(self, contents: Contents, waiter: str | None = None) -> None:
        self.facts: Mapping[str, Fact] = contents.facts
        self.members: Mapping[str, Member] = contents.live_members
        self.lagging: Collection[str] = contents.convergence.lagging
        self.signals: Mapping[str, Signal] = {} if waiter is None else contents.signals(waiter)
