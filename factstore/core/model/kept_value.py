"""A value that a fact had before, kept beside it because its stack asks for that."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.fact import Fact, Kind
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

KEEP_VALUES_MAX = 10
"""The most earlier values that a stack can keep of each fact."""


@quick_dataclass(frozen=True, slots=True)
class KeptValue(Record):
    """A former state of a fact, written by the transaction that ended it.

    Its own revision is the one that replaced or deleted the fact.

    :param slot: below :data:`KEEP_VALUES_MAX`; the oldest value of a fact is overwritten.
    :param at: the revision of the fact that had the value.
    :param created: the revision that created that fact.
    :param deleted_by: the user who deleted the fact; None if its value was replaced.
    :param delete_request: the request that deleted it.
    """

    path: str
    slot: int
    text: str
    kind: Kind
    created_at: str
    updated_at: str
    updated_by: str
    request_id: str
    version: int
    at: int
    created: int
    deleted_by: str | None = None
    delete_request: str | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return kept_key(self.path, self.slot)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas, as those of the fact did."""
        return self.fact.size

    @property
    def fact(self) -> Fact:
        """The fact that had the value."""
        return Fact(
            self.path,
            self.text,
            self.kind,
            self.created_at,
            self.updated_at,
            self.updated_by,
            self.request_id,
            version=self.version,
            revision=self.at,
            created=self.created,
        )


def kept_key(path: str, slot: int) -> RecordKey:
    """Return the key of a slot; no path contains a tilde, so it is in no other path's way."""
    return RecordKey(KeptValue, f"{path}/~{slot}")


def kept_values(find: Callable[[RecordKey], Record | None], path: str) -> list[KeptValue]:
    """Return the kept values of a path, the oldest first.

    :param find: returns a record of the stack by its key.
    """
    found = [find(kept_key(path, slot)) for slot in range(KEEP_VALUES_MAX)]
    return sorted((each for each in found if isinstance(each, KeptValue)), key=lambda each: each.at)
