"""The stored form of the records of each kind: the one table in the store.

The domain has a row for each kind too, in :mod:`factstore.core.model.record_kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from factstore.core.errors import Invalid
from factstore.core.model.condition import Definition
from factstore.core.model.record_key import RecordKindName
from factstore.core.model.waiter import Progress


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """The stored form of the records of one kind.

    :param folder: the folder of their keys in the data of a stack.
    :param key_field: the field that the key contains, so that the value does not.
    :param omitted: fields that are omitted if they have this value, so that earlier versions can read
        the record.
    :param convert: converts fields in place, from the types of JSON to those of the record.
    """

    folder: str
    key_field: str | None = None
    omitted: Mapping[str, object] = field(default_factory=dict)
    convert: Callable[[dict[str, Any]], None] | None = None


def _convert_waiter(fields: dict[str, Any]) -> None:
    try:
        Definition.parse(fields["definition"])
    except Invalid:
        # The text of the error would contain the definition.
        raise ValueError("its definition cannot be read") from None
    progress = fields["progress"]
    if progress is not None:
        names = {name: tuple(progress[name]) for name in ("missing", "failing")}
        fields["progress"] = Progress(progress["satisfied"], progress["needed"], **names)


RECORD_FORMATS: dict[RecordKindName, RecordFormat] = {
    "member": RecordFormat(
        "members", key_field="name", omitted={"declared": None, "number": 0, "told": 0}
    ),
    "applied": RecordFormat("applied", key_field="member"),
    "waiter": RecordFormat("waiters", key_field="name", convert=_convert_waiter),
    "timer": RecordFormat("timers", key_field="waiter"),
    "signal": RecordFormat("signals", key_field="waiter"),
    "mark": RecordFormat("marks"),
    "grant": RecordFormat("grants", key_field="id"),
    "seal": RecordFormat("seals"),
}
