"""The alarms of one stack, updated by each change and evaluated after each revision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field, replace
from typing import Literal, Protocol, get_args

from factstore.core.model.alarm import Alarm, AlarmPhase, AlarmState, AlarmTimer, timer_key
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.condition import leaves
from factstore.core.model.event import Change, ChangeType
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.state.alarm_tracker import AlarmTracker, Reading
from factstore.core.state.pending_waiters import NOT_EVALUATED, ConditionContents
from factstore.core.state.stack_conditions import StackConditions

AlarmStep = Literal["pend", "withdraw", "edge", "repeat"]
STEPS: tuple[AlarmStep, ...] = get_args(AlarmStep)


class AlarmContents(ConditionContents, Protocol):
    """The parts of a stack that alarms refer to."""

    def record(self, key: RecordKey) -> Record | None: ...


@quick_dataclass(frozen=True, slots=True)
class AlarmDecision:
    """The next step of an alarm, found at a revision and not yet written.

    :param step: ``pend``: begin to measure *for*; ``withdraw``: the condition changed back meanwhile;
        ``edge``: change the state; ``repeat``: report the raised alarm again.
    :param state: after the step; with ``pend``, after the time.
    """

    stack_id: str
    alarm: Alarm
    step: AlarmStep
    state: AlarmState
    revision: int
    reading: Reading


@quick_dataclass(slots=True)
class _Tracked:
    alarm: Alarm
    definition: AlarmDefinition | None
    tracker: AlarmTracker | None


@quick_dataclass(slots=True, eq=False)
class StandingAlarms:
    """The alarms of a stack.

    A decision is final until the alarm's record changes, even if the stack changes.  So an edge is
    written although its condition lasted for one revision only, and an interruption of *for* is not
    forgotten.

    :param conditions: the counters of the stack.
    :param decisions: by alarm.
    """

    conditions: StackConditions
    decisions: dict[str, AlarmDecision] = field(default_factory=dict)
    _tracked: dict[str, _Tracked] = field(default_factory=dict)
    _new: dict[str, Alarm] = field(default_factory=dict)
    _scheduled: set[str] = field(default_factory=set)

    def reading(self, alarm: Alarm) -> tuple[Reading, list[str]] | None:
        """Return the present reading of an alarm, and the names that it ignores."""
        tracked = self._tracked.get(alarm.name)
        if tracked is None:
            return None
        fault = self.conditions.faults.get(alarm.record_key)
        if fault is not None or tracked.tracker is None:
            return Reading(None, None, f"{NOT_EVALUATED}: {fault}"), []
        return tracked.tracker.reading(alarm.state), tracked.tracker.ignored()

    def fault(self, alarm: Alarm) -> str | None:
        """Return the reason why an alarm is not evaluated; None if it is."""
        fault = self.conditions.faults.get(alarm.record_key)
        return f"{NOT_EVALUATED}: {fault}" if fault else None

    def put(self, alarm: Alarm, former: Record | None) -> Change | None:
        """Record an alarm's record, and return the change for watchers, or None."""
        decision = self.decisions.pop(alarm.name, None)
        if decision and isinstance(former, Alarm) and alarm.only_lost_history(former):
            self.decisions[alarm.name] = replace(decision, alarm=alarm)
        self._scheduled.add(alarm.name)
        tracked = self._tracked.get(alarm.name)
        if tracked is not None and tracked.alarm.definition == alarm.definition:
            tracked.alarm = alarm
        else:
            self._untrack(alarm.name)
            self._new[alarm.name] = alarm
        kind = _change_type(alarm, former) if isinstance(former, Alarm) else None
        if kind is None:
            return None
        return Change(kind, None, None, None, None, None, alarm, None, alarm.reason)

    def forget(self, alarm: str) -> None:
        """Discard an alarm that was deleted."""
        self._untrack(alarm)
        self.decisions.pop(alarm, None)
        self._new.pop(alarm, None)

    def _untrack(self, alarm: str) -> None:
        if self._tracked.pop(alarm, None) is not None:
            self.conditions.release(RecordKey(Alarm, alarm))

    def schedule(self, alarm: str) -> None:
        """Evaluate an alarm at the end of the revision, because one of its timers changed."""
        self._scheduled.add(alarm)

    def track_new(self) -> None:
        """Begin to evaluate the alarms that were set."""
        for name, alarm in self._new.items():
            definition = tracker = None
            try:
                definition = AlarmDefinition.parse(alarm.definition)
                counters = self.conditions.use(alarm.record_key, leaves(definition.condition))
                tracker = AlarmTracker(definition, counters)
            except Exception as error:  # noqa: BLE001 - it must not stop the watch
                self.conditions.give_up(alarm.record_key, error)
            self._tracked[name] = _Tracked(alarm, definition, tracker)
        self._new.clear()

    def evaluate(
        self, contents: AlarmContents, changed: Collection[RecordKey], revision: int
    ) -> None:
        """Find decisions at the end of a revision.

        :param changed: the alarms whose counters changed; others are scheduled.
        """
        if not (changed or self._scheduled):
            return
        names = {key.name for key in changed if key.kind is Alarm} | self._scheduled
        for name in sorted(names & self._tracked.keys() - self.decisions.keys()):
            tracked = self._tracked[name]
            try:
                decision = _decision(tracked, contents, revision)
            except Exception as error:  # noqa: BLE001 - it must not stop the watch
                self.conditions.give_up(tracked.alarm.record_key, error)
                continue
            if decision is not None and tracked.alarm.record_key not in self.conditions.faults:
                self.decisions[name] = decision
        self._scheduled.clear()

    def forecast(
        self, conditions: StackConditions, contents: AlarmContents, changed: Collection[RecordKey]
    ) -> StandingAlarms:
        """Return alarms whose counters would change, with the decisions that would follow.

        :param conditions: the counters after the changes.
        :param changed: the alarms, and others.
        """
        made = StandingAlarms(conditions)
        names = {key.name for key in changed if key.kind is Alarm}
        for name in sorted(names & self._tracked.keys() - self.decisions.keys()):
            tracked = self._tracked[name]
            definition = tracked.definition
            if definition is None or tracked.alarm.record_key in conditions.faults:
                continue
            counters = conditions.use(tracked.alarm.record_key, leaves(definition.condition))
            tracker = AlarmTracker(definition, counters)
            made._tracked[name] = _Tracked(tracked.alarm, definition, tracker)
        made.evaluate(contents, changed, 0)
        return made


def _decision(tracked: _Tracked, contents: AlarmContents, revision: int) -> AlarmDecision | None:
    """Return the next step of an alarm; None if there is nothing to write."""
    alarm, definition, tracker = tracked.alarm, tracked.definition, tracked.tracker
    if definition is None or tracker is None:
        return None
    is_met = tracker.is_met(alarm.state)
    state = _state(is_met, definition, alarm.state)
    running = _running_phases(alarm.name, contents)
    step = _next_step(alarm, definition, is_met, state, running)
    if step is None:
        return None
    reading = tracker.reading(alarm.state)
    return AlarmDecision(contents.stack.id, alarm, step, state, revision, reading)


def _state(is_met: bool | None, definition: AlarmDefinition, state: AlarmState) -> AlarmState:
    """Return the state that an alarm should have."""
    if is_met is None:
        return state if definition.no_data == "keep" else definition.no_data
    return "alarm" if is_met else "ok"


def _next_step(
    alarm: Alarm,
    definition: AlarmDefinition,
    is_met: bool | None,
    state: AlarmState,
    running: set[AlarmPhase],
) -> AlarmStep | None:
    if alarm.pending is not None:
        if state != alarm.pending:
            return "withdraw"
        return None if "for" in running else "edge"
    if state != alarm.state:
        if "quiet" in running:
            return None
        return "pend" if definition.seconds else "edge"
    # Without data, a raised alarm that is kept is not repeated.
    repeats = state == "alarm" and definition.repeat and is_met
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
    if alarm.repeats != former.repeats:
        return "alarm.repeated"
    lost = alarm.history_lost_at
    return "alarm.history_lost" if lost not in (None, former.history_lost_at) else None
