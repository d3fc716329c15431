"""Setting an alarm, deleting it, and writing its decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeVar

from factstore.core.errors import NotFound, PreconditionFailed
from factstore.core.model.alarm import (
    ALARM_PHASES,
    ALARMS_PER_STACK,
    Alarm,
    AlarmPhase,
    AlarmTimer,
    timer_key,
)
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.condition import leaves
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.operations.bounds import check_bound
from factstore.core.operations.condition_room import take_room
from factstore.core.operations.lost_history import lost_since
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.state.standing_alarms import AlarmDecision

T = TypeVar("T")

SetOutcome = Literal["created", "changed", "unchanged"]


@quick_dataclass(frozen=True, slots=True)
class SetResult:
    """The alarm, and the outcome of setting it."""

    alarm: Alarm
    outcome: SetOutcome


@quick_dataclass(slots=True)
class SetAlarm(Operation[SetResult]):
    """Create an alarm, or change its definition; one with the same definition is not changed.

    A change keeps the state, and the times that begin with an edge.

    :param create_only: refuse if an alarm of that name exists.
    """

    may_create_stack: ClassVar[bool] = True

    scope: Scope
    name: str
    definition: AlarmDefinition
    author: Author
    create_only: bool = False

    def plan(self, view: View) -> Draft[SetResult]:
        """Return the draft.

        :raises PreconditionFailed: see *create_only*.
        :raises Forbidden: ``quota_exceeded``: the stack has too many alarms or conditions.
        """
        key = RecordKey(Alarm, self.name)
        record = view.record(key)
        known = record if isinstance(record, Alarm) else None
        if known is not None and self.create_only:
            raise PreconditionFailed(f"An alarm named {quoted(self.name)} exists already.")
        text, revisions = self.definition.text, {key: known.revision if known else 0}
        if known is not None and known.definition == text:
            return Draft(SetResult(known, "unchanged"), record_revisions=revisions)
        if known is None:
            count = len(view.stack_state.records(Alarm)) if view.stack_state else 0
            check_bound("alarms", count, ALARMS_PER_STACK)
        room, guard = take_room(view, key, leaves(self.definition.condition))
        if known is None:
            alarm = Alarm(
                name=self.name,
                definition=text,
                state="ok",
                created_at=view.now,
                changed_at=view.now,
                updated_at=view.now,
                updated_by=self.author.user_id,
                request_id=self.author.request_id,
            )
            return Draft(
                SetResult(alarm, "created"),
                records=(alarm, room),
                record_revisions={**revisions, **guard},
            )
        alarm = replace(
            known,
            definition=text,
            pending=None,
            history_lost_at=None,
            updated_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
        )
        begins: tuple[AlarmPhase, ...] = ()
        if known.state == "alarm" and timer_of(view, self.name, "repeat") is None:
            begins = ("repeat",)  # else the change would repeat the alarm at once
        draft = _draft(
            SetResult(alarm, "changed"), alarm, known, view, begins=begins, ends=("for",)
        )
        return replace(
            draft,
            records=(*draft.records, room),
            record_revisions={**draft.record_revisions, **guard},
        )


@quick_dataclass(slots=True)
class DeleteAlarm(Operation[Alarm]):
    """Delete an alarm; the outcome is the alarm as it was."""

    scope: Scope
    name: str
    author: Author

    def plan(self, view: View) -> Draft[Alarm]:
        """Return the draft.

        :raises NotFound: there is no such alarm.
        """
        alarm = view.record(RecordKey(Alarm, self.name))
        if not isinstance(alarm, Alarm):
            raise alarm_missing(view.scope, self.name)
        timers = _timers(view, self.name, ALARM_PHASES)
        return Draft(
            alarm,
            removes=(alarm.record_key, *(timer.record_key for timer in timers)),
            record_revisions={alarm.record_key: alarm.revision},
            ends=tuple(timer.lease for timer in timers),
        )


@quick_dataclass(slots=True)
class WriteDecision(Operation[bool]):
    """Write the next step of an alarm; the outcome is whether this write did it.

    Every worker finds the same decision.  The guard on the alarm lets one of them write.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    decision: AlarmDecision
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if the alarm changed meanwhile."""
        decision, alarm = self.decision, self.decision.alarm
        known = view.record(alarm.record_key)
        if known is None or known.revision != alarm.revision or view.stack.id != decision.stack_id:
            return Draft(False)
        alarm = replace(alarm, written_at=view.now, history_lost_at=lost_since(view, alarm))
        match decision.step:
            case "pend":
                record = replace(alarm, pending=decision.state)
                return _draft(True, record, alarm, view, begins=("for",))
            case "withdraw":
                return _draft(True, replace(alarm, pending=None), alarm, view, ends=("for",))
            case "repeat":
                record = replace(alarm, repeats=alarm.repeats + 1, **_numbers(decision))
                return _draft(True, record, alarm, view, begins=("repeat",))
        record = replace(
            alarm,
            state=decision.state,
            pending=None,
            changed_at=view.now,
            decided_revision=decision.revision,
            repeats=0,
            **_numbers(decision),
        )
        begins: tuple[AlarmPhase, ...] = (
            ("quiet", "repeat") if record.state == "alarm" else ("quiet",)
        )
        return _draft(True, record, alarm, view, begins=begins, ends=("for", "repeat"))


def _numbers(decision: AlarmDecision) -> dict[str, Any]:
    return {"value": decision.reading.value, "reason": decision.reading.reason}


def _draft(
    outcome: T,
    alarm: Alarm,
    known: Alarm,
    view: View,
    *,
    begins: tuple[AlarmPhase, ...] = (),
    ends: tuple[AlarmPhase, ...] = (),
) -> Draft[T]:
    """Return the draft of a changed alarm.

    :param begins: the phases that begin now, if they take any time.
    :param ends: the phases that end, unless they begin again.
    """
    definition = AlarmDefinition.parse(alarm.definition)
    seconds = {
        "for": definition.seconds,
        "quiet": definition.quiet,
        "repeat": definition.repeat,
    }
    begun = [AlarmTimer(alarm.name, phase) for phase in begins if seconds[phase]]
    new = {timer.phase for timer in begun}
    timers = _timers(view, alarm.name, (*begins, *ends))
    return Draft(
        outcome,
        records=(alarm, *begun),
        removes=tuple(timer.record_key for timer in timers if timer.phase not in new),
        record_revisions={known.record_key: known.revision},
        leases={timer.record_key: LeaseRequest(seconds[timer.phase]) for timer in begun},
        ends=tuple(timer.lease for timer in timers),
    )


def _timers(view: View, alarm: str, phases: tuple[AlarmPhase, ...]) -> list[AlarmTimer]:
    """Return the timers that run, each once."""
    found = (timer_of(view, alarm, phase) for phase in dict.fromkeys(phases))
    return [timer for timer in found if timer is not None]


def timer_of(view: View, alarm: str, phase: AlarmPhase) -> AlarmTimer | None:
    """Return the timer of a phase; None if it does not run."""
    record = view.record(timer_key(alarm, phase))
    return record if isinstance(record, AlarmTimer) else None


def alarm_missing(scope: Scope, name: str) -> NotFound:
    """Return the refusal of a request about an alarm that does not exist."""
    return NotFound(f"There is no alarm {quoted(name)} in a stack named {quoted(scope.stack)}.")
