"""The pending waiters of one stack, updated by each change and evaluated after each revision."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Protocol

from factstore.core.model.definition import Definition
from factstore.core.model.event import Change, ChangeType
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter, WaiterState
from factstore.core.state.condition_tracker import Tracker
from factstore.core.state.convergence import Convergence
from factstore.core.state.stack_conditions import StackConditions


class ConditionContents(Protocol):
    """The parts of a stack that conditions refer to."""

    stack: Stack
    facts: dict[str, Fact]
    paths: list[str]
    live_members: dict[str, Member]
    convergence: Convergence

    def records(self, kind: type[R]) -> Mapping[str, R]: ...

    def signals(self, waiter: str) -> dict[str, Signal]: ...


NOT_EVALUATED = "the server failed to evaluate the condition"


@quick_dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a pending waiter, found at a revision and not yet written."""

    stack: Stack
    waiter: Waiter
    state: WaiterState
    revision: int
    progress: Progress
    reason: str


@quick_dataclass(slots=True)
class _Tracked:
    waiter: Waiter
    tracker: Tracker | None
    best: int | None = None


@quick_dataclass(slots=True, eq=False)
class PendingWaiters:
    """The waiters of a stack that are pending.

    An outcome is final until the waiter's record changes, even if the stack changes.  So all workers
    that follow the same history find the same outcome.

    :param conditions: the counters of the stack.
    :param outcomes: by waiter.
    :param advanced: waiters whose progress restarts their timeout, by name.
    """

    conditions: StackConditions
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

    def tracker(self, waiter: str) -> Tracker | None:
        """Return the tracker of a pending waiter; None if it is not pending."""
        tracked = self._tracked.get(waiter)
        return tracked.tracker if tracked else None

    def progress(self, waiter: Waiter) -> Progress:
        """Return the progress of a waiter: the present one, or the one with which it ended."""
        tracker = None if self.fault(waiter) else self.tracker(waiter.name)
        return waiter.progress or (tracker.progress() if tracker else Progress())

    def fault(self, waiter: Waiter) -> str | None:
        """Return the reason why a pending waiter is not evaluated; None if it is."""
        fault = self.conditions.faults.get(waiter.record_key)
        return f"{NOT_EVALUATED}: {fault}" if fault and waiter.state == "pending" else None

    def note_signal(self, signal: Signal, key: str, *, exists: bool) -> None:
        """Record that a signal was sent, or was deleted."""
        if (tracker := self.tracker(signal.waiter)) is not None:
            tracker.signal(key, signal if exists else None)
            self.schedule(signal.waiter)

    def put(self, waiter: Waiter, former: Record | None) -> Change | None:
        """Record a waiter's record, and return the change for watchers, or None."""
        if isinstance(former, Waiter) and waiter.only_lost_history(former):
            self._keep(waiter)
            return Change("waiter.history_lost", None, None, None, None, None, waiter)
        self.forget(waiter.name)
        if waiter.state == "pending":
            self.schedule(waiter.name)
            return None
        if not (isinstance(former, Waiter) and former.state == "pending"):
            return None
        kind: ChangeType = f"waiter.{waiter.state}"  # type: ignore[assignment]
        return Change(kind, None, None, None, None, None, waiter, None, waiter.reason)

    def _keep(self, waiter: Waiter) -> None:
        """Continue with a waiter on which a note was made; an outcome that was found stays."""
        name = waiter.name
        if name in self._tracked:
            self._tracked[name].waiter = waiter
        if name in self.outcomes:
            self.outcomes[name] = replace(self.outcomes[name], waiter=waiter)
        if name in self.advanced:
            self.advanced[name] = waiter

    def schedule(self, waiter: str) -> None:
        """Evaluate a waiter at the end of the revision, not because of its counters."""
        self._scheduled.add(waiter)

    def forget(self, waiter: str) -> None:
        """Discard a waiter: it was armed again, has ended, or was deleted."""
        if self._tracked.pop(waiter, None) is not None:
            self.conditions.release(RecordKey(Waiter, waiter))
        self.outcomes.pop(waiter, None)
        self.advanced.pop(waiter, None)
        self._scheduled.discard(waiter)

    def track_new(self, contents: ConditionContents) -> None:
        """Begin to evaluate the waiters that were armed."""
        if not self._scheduled:
            return
        for name in sorted(self._scheduled - self._tracked.keys()):
            waiter = contents.records(Waiter).get(name)
            if waiter is None or waiter.state != "pending":
                continue
            tracker = None
            try:
                tracker = self._new_tracker(waiter, contents)
            except Exception as error:  # noqa: BLE001 - it must not stop the watch
                self.conditions.give_up(waiter.record_key, error)
            self._tracked[name] = _Tracked(waiter, tracker)

    def _new_tracker(self, waiter: Waiter, contents: ConditionContents) -> Tracker:
        definition = Definition.parse(waiter.definition)
        counters = self.conditions.use(waiter.record_key, definition.leaves())
        tracker = Tracker(definition, counters)
        for key, signal in contents.signals(waiter.name).items():
            tracker.signal(key, signal)
        return tracker

    def evaluate(
        self, contents: ConditionContents, changed: Collection[RecordKey], revision: int
    ) -> None:
        """Find outcomes at the end of a revision.

        :param changed: the waiters whose counters changed; others are scheduled.
        """
        if not (changed or self._scheduled):
            return
        names = {key.name for key in changed if key.kind is Waiter} | self._scheduled
        for name in sorted(names & self._tracked.keys() - self.outcomes.keys()):
            tracked = self._tracked[name]
            try:
                self._evaluate(name, tracked, contents, revision)
            except Exception as error:  # noqa: BLE001 - it must not stop the watch
                self.conditions.give_up(tracked.waiter.record_key, error)
        self._scheduled.clear()

    def _evaluate(
        self, name: str, tracked: _Tracked, contents: ConditionContents, revision: int
    ) -> None:
        waiter, tracker = tracked.waiter, tracked.tracker
        fault = self.conditions.faults.get(waiter.record_key)
        timed_out = name in self._scheduled and name not in contents.records(Timer)
        if tracker is None or fault is not None:
            if timed_out:
                reason = f"timed out; {NOT_EVALUATED}: {fault}"
                self.outcomes[name] = Outcome(
                    contents.stack, waiter, "timed_out", revision, Progress(), reason
                )
            return
        state: WaiterState | None = tracker.verdict()
        if state is None and timed_out:
            state = "timed_out"
        if state is not None:
            self.outcomes[name] = Outcome(
                contents.stack, waiter, state, revision, tracker.progress(), tracker.reason()
            )
        elif waiter.extends:
            satisfied = tracker.satisfied()
            if tracked.best is None:  # what was there before the arming is no progress
                tracked.best = satisfied
            elif satisfied > tracked.best:
                tracked.best = satisfied
                self.advanced[name] = waiter

    def forecast(
        self,
        conditions: StackConditions,
        contents: ConditionContents,
        changed: Collection[RecordKey],
    ) -> PendingWaiters:
        """Return waiters whose counters would change, as they would be evaluated then.

        :param conditions: the counters after the changes.
        :param changed: the waiters, and others.
        """
        made = PendingWaiters(conditions)
        names = {key.name for key in changed if key.kind is Waiter}
        for name in sorted(names & self._tracked.keys() - self.outcomes.keys()):
            tracked = self._tracked[name]
            if tracked.tracker is not None and tracked.waiter.record_key not in conditions.faults:
                tracker = made._new_tracker(tracked.waiter, contents)
                made._tracked[name] = _Tracked(tracked.waiter, tracker)
        made.evaluate(contents, changed, 0)
        return made


class ConditionView:
    """The contents of a stack that conditions count."""

    def __init__(self, contents: ConditionContents) -> None:
        self.facts: Mapping[str, Fact] = contents.facts
        self.paths: Sequence[str] = contents.paths
        self.members: Mapping[str, Member] = contents.live_members
        self.lagging: Collection[str] = contents.convergence.lagging
