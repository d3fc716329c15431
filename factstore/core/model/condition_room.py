"""The room for conditions in a stack: the record that lets their number be guarded."""

from __future__ import annotations

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey


@quick_dataclass(frozen=True, slots=True)
class ConditionRoom(Record):
    """The number of writes that depend on all conditions of a stack.

    Each write that takes room for conditions, and each batch with a plan, also writes this record.  So
    no two of these writes, even of two workers, exceed the bounds together or do what no plan shows.
    """

    taken: int

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return ROOM_KEY


ROOM_KEY = RecordKey(ConditionRoom, "room")
