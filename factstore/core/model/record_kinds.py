"""The kinds of records beside facts: the one table in the domain.

The store has a row for each kind too, in :mod:`factstore.store.record_formats`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from factstore.core.model.data_key import DataKey
from factstore.core.model.event import DeletionMarker, Record
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied, Member
from factstore.core.model.record_key import RecordKindName
from factstore.core.model.waiter import Signal, Timer, Waiter


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of record.

    :param record: its class.
    :param size: returns the bytes that a record counts; None if records of this kind are not counted.
    """

    record: Callable[..., Record]
    size: Callable[[Any], int] | None = None


RECORD_KINDS: dict[RecordKindName, RecordKind] = {
    "member": RecordKind(Member, size=attrgetter("size")),
    "applied": RecordKind(Applied),
    "waiter": RecordKind(Waiter, size=attrgetter("size")),
    "timer": RecordKind(Timer),
    "signal": RecordKind(Signal, size=attrgetter("size")),
    "mark": RecordKind(DeletionMarker),
    "grant": RecordKind(Grant, size=attrgetter("size")),
    "seal": RecordKind(DataKey),
}

_SIZES = {kind.record: kind.size for kind in RECORD_KINDS.values()}


def counted_size(record: Record) -> int | None:
    """Return the bytes that a record counts as a fact of its stack, or None if it is not counted."""
    size = _SIZES[type(record)]
    return None if size is None else size(record)
