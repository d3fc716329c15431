"""The guards on the author's grant: a write is made only while the grant exists."""

from __future__ import annotations

from typing import Protocol

from factstore.core.errors import Unauthorized
from factstore.core.model.grant import Grant
from factstore.core.model.record import Record, RecordKey


class Records(Protocol):
    """The records of a stack."""

    def record(self, key: RecordKey) -> Record | None:
        """Return the record with a key, or None."""


def guards_on_grant(records: Records, grant: str) -> dict[RecordKey, int]:
    """Return the guards that keep a write from being made with a grant that has ended.

    So a stack that was deleted is not created again by one of its own instances.

    :raises Unauthorized: the grant, or the one that it was issued from, does not exist any more.
    """
    own = _not_revoked(records, grant)
    guards = {own.record_key: own.revision}
    if own.parent:
        parent = _not_revoked(records, own.parent)
        guards[parent.record_key] = parent.revision
    return guards


def _not_revoked(records: Records, grant: str) -> Grant:
    record = records.record(RecordKey(Grant, grant))
    if not isinstance(record, Grant):
        raise ended()
    return record


def ended() -> Unauthorized:
    """Return the refusal of a holder whose grant has ended since the request arrived."""
    return Unauthorized(
        "The grant has expired or was revoked, or its stack was deleted, before anything was written. "
        "Request a new grant."
    )
