"""The alarms of one stack, updated by each change and evaluated after each revision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from factstore.core.model.alarm import Alarm, AlarmPhase, AlarmState, AlarmTimer, timer_key
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.event import Change, ChangeType
from factstore.core.model.record import Record, RecordKey
from factstore.core.state.alarm_tracker import AlarmTracker, Reading
from factstore.core.state.pending_waiters import ConditionView, Contents

Step = Literal["pend", "withdraw", "edge", "repeat"]


class AlarmContents(Contents, Protocol):
    """The parts of a stack that alarms refer to."""

    def record(self, key: RecordKey) -> Record | None: ...


@dataclass(frozen=True, slots=True)
class AlarmDecision:
    """The next step of an alarm, found at a revision and not yet written.

    :param step: ``pend``: begin to measure *for*; ``withdraw``: the condition changed back meanwhile;
        ``edge``: change the state; ``repeat``: report the raised alarm again.
    :param state: after the step; with ``pend``, after the time.
    """

    stack_id: str
    alarm: Alarm
    step: Step
    state: AlarmState
    revision: int
    reading: Reading


@dataclass(slots=True)
class _Tracked:
    alarm: Alarm
    definition: AlarmDefinition
    tracker: AlarmTracker


@dataclass(slots=True, eq=False)
class StandingAlarms:
    """The alarms of a stack.

    A decision is final until the alarm's record changes, even if the stack changes.  So an edge is
    written although its condition lasted for one revision only, and an interruption of *for* is not
    forgotten.

    :param decisions: by alarm.
    """

    decisions: dict[str, AlarmDecision] = field(default_factory=dict)
    _tracked: dict[str, _Tracked] = field(default_factory=dict)
    _new: dict[str, Alarm] = field(default_factory=dict)

    def trackers(self) -> Iterator[AlarmTracker]:
        """Yield the trackers of all alarms."""
        for tracked in self._tracked.values():
            yield tracked.tracker

    def reading(self, alarm: Alarm) -> tuple[Reading, list[str]] | None:
        """Return the present reading of an alarm, and the names that it ignores."""
        tracked = self._tracked.get(alarm.name)
        if tracked is None:
            return None
        return tracked.tracker.reading(alarm.state), tracked.tracker.ignored()

    def put(self, alarm: Alarm, former: Record | None) -> Change | None:
        """Record an alarm's record, and return the change for watchers, or None."""
        self.decisions.pop(alarm.name, None)
        tracked = self._tracked.get(alarm.name)
        if tracked is not None and tracked.alarm.definition == alarm.definition:
            tracked.alarm = alarm
        else:
            self._tracked.pop(alarm.name, None)
            self._new[alarm.name] = alarm
        kind = _change_type(alarm, former) if isinstance(former, Alarm) else None
        if kind is None:
            return None
        return Change(kind, None, None, None, None, None, alarm, None, alarm.reason)

    def forget(self, alarm: str) -> None:
        """Discard an alarm that was deleted."""
        for table in (self.decisions, self._tracked, self._new):
            table.pop(alarm, None)

    def evaluate(self, contents: AlarmContents, revision: int) -> None:
        """Find decisions at the end of a revision."""
        for name, alarm in self._new.items():
            definition = AlarmDefinition.parse(alarm.definition)
            tracker = AlarmTracker.of(definition, ConditionView(contents))
            self._tracked[name] = _Tracked(alarm, definition, tracker)
        self._new.clear()
        for name, tracked in self._tracked.items():
            if name in self.decisions:
                continue
            alarm = tracked.alarm
            reading = tracked.tracker.reading(alarm.state)
            state = _state(reading, tracked.definition, alarm.state)
            running = _running_phases(alarm.name, contents)
            step = _next_step(alarm, tracked.definition, reading, state, running)
            if step is not None:
                self.decisions[name] = AlarmDecision(
                    contents.stack.id, alarm, step, state, revision, reading
                )


def _state(reading: Reading, definition: AlarmDefinition, state: AlarmState) -> AlarmState:
    """Return the state that an alarm should have."""
    if reading.is_met is None:
        return state if definition.no_data == "keep" else definition.no_data
    return "alarm" if reading.is_met else "ok"


def _next_step(
    alarm: Alarm,
    definition: AlarmDefinition,
    reading: Reading,
    state: AlarmState,
    running: set[AlarmPhase],
) -> Step | None:
    if alarm.pending is not None:
        if state != alarm.pending:
            return "withdraw"
        return None if "for" in running else "edge"
    if state != alarm.state:
        if "quiet" in running:
            return None
        return "pend" if definition.seconds else "edge"
    # Without data, a raised alarm that is kept is not repeated.
    repeats = state == "alarm" and definition.repeat and reading.is_met
    return "repeat" if repeats and "repeat" not in running else None


def _running_phases(alarm: str, contents: AlarmContents) -> set[AlarmPhase]:
    phases: tuple[AlarmPhase, ...] = ("for", "quiet", "repeat")
    if not contents.records(AlarmTimer):
        return set()
    return {phase for phase in phases if contents.record(timer_key(alarm, phase)) is not None}


def _change_type(alarm: Alarm, former: Alarm) -> ChangeType | None:
    if alarm.decided_revision != former.decided_revision:
        kinds: dict[AlarmState, ChangeType] = {
            "ok": "alarm.cleared",
            "alarm": "alarm.raised",
            "no_data": "alarm.no_data",
        }
        return kinds[alarm.state]
    return "alarm.repeated" if alarm.repeats != former.repeats else None
