"""The record of a stack's data key, under which the values of its sensitive facts are sealed."""

from __future__ import annotations

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey


@quick_dataclass(frozen=True, slots=True)
class DataKey(Record):
    """A stack's data key as it is stored: wrapped with a key of the service's keyring.

    It is created with the first sensitive fact and kept until the stack is deleted.  If the keyring
    changes, the data key is wrapped again and no fact is written.
    """

    wrapped: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return DATA_KEY


DATA_KEY = RecordKey(DataKey, "key")
