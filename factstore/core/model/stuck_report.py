"""The report that a stack is stuck, which exists as long as it is."""

from __future__ import annotations

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey


@quick_dataclass(frozen=True, slots=True)
class StuckReport(Record):
    """The report on a stack in which some wait for each other, or for what will not come.

    :param since: the time since which that is so.
    :param reason: the circles and obstacles in words.
    :param reported_at: the time of the event.
    """

    since: str
    reason: str
    reported_at: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return STUCK_REPORT


STUCK_REPORT = RecordKey(StuckReport, "stuck")
