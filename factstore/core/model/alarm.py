"""Alarms, as immutable records."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from factstore.core.model.comparison import Number
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

AlarmState = Literal["ok", "alarm", "no_data"]
ALARM_STATES: tuple[AlarmState, ...] = get_args(AlarmState)
AlarmPhase = Literal["for", "quiet", "repeat"]
ALARM_PHASES: tuple[AlarmPhase, ...] = get_args(AlarmPhase)

ALARMS_PER_STACK = 100
SECONDS_MAX = 24 * 3600  # of for, quiet and repeat


@quick_dataclass(frozen=True, slots=True)
class Alarm(Record):
    """A named condition on facts and members, with its state as it was last written.

    Each write of the controller is guarded by the record's revision.

    :param definition: canonical JSON of the condition, for, quiet, repeat and no_data.
    :param pending: the state that the alarm gets if its condition does not change for a time; a timer
        of the phase ``for`` measures that time.
    :param changed_at: of the last edge, or of the creation.
    :param decided_revision: the revision that decided the last edge; 0 before the first.
    :param repeats: the number of repetitions since the last edge.
    :param value: the number that decided the last edge; None if none did.
    :param written_at: of the controller's last write; empty before.
    :param history_lost_at: when it was last noticed that no worker may have seen some revisions since
        the alarm was set; None if none were lost.
    """

    name: str
    definition: str
    state: AlarmState
    created_at: str
    changed_at: str
    updated_at: str
    updated_by: str
    request_id: str
    pending: AlarmState | None = None
    decided_revision: int = 0
    repeats: int = 0
    value: Number | None = None
    reason: str | None = None
    written_at: str = ""
    history_lost_at: str | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Alarm, self.name)

    def only_lost_history(self, former: Alarm) -> bool:
        """Return True if it differs from *former* only in the note that history was lost."""
        at = self.history_lost_at
        noted = replace(former, history_lost_at=at, revision=self.revision)
        return self == noted and at != former.history_lost_at

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.name) + len(self.definition.encode())


@quick_dataclass(frozen=True, slots=True)
class AlarmTimer(Record):
    """A record that expires when a phase of an alarm is over.

    It is attached to a lease, so that all workers see the expiry at the same revision, and so that the
    time continues while no worker runs.
    """

    alarm: str
    phase: AlarmPhase

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return timer_key(self.alarm, self.phase)


def timer_key(alarm: str, phase: AlarmPhase) -> RecordKey:
    """Return the key of a timer."""
    return RecordKey(AlarmTimer, f"{alarm}/{phase}")
