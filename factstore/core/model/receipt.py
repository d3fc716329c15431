"""The receipt of a write with an ``Idempotency-Key``."""

from __future__ import annotations

import json

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

RETENTION = 2 * 3600
"""Seconds for which a receipt is stored, at least."""

SHARED_SECONDS = 1800
"""For so long, the receipts of a stack share a lease, which expires :data:`RETENTION` later."""


@quick_dataclass(frozen=True, slots=True)
class Receipt(Record):
    """The outcome of a write with an ``Idempotency-Key``, without values.

    It is attached to a lease, and is deleted with its stack.

    :param key: a hash of project, user, route and the caller's key, of fixed length.
    :param fingerprint: a hash over everything else in the request; for a request with sensitive values
        it is keyed with the stack's data key.
    :param results: a JSON array with an entry for each operation.
    :param created_at: when the write was planned; it also applies to the facts that it wrote.
    """

    key: str
    fingerprint: str
    results: str
    created_at: str
    updated_by: str
    request_id: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Receipt, self.key)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        texts = (self.key, self.fingerprint, self.created_at, self.updated_by, self.request_id)
        results = len(json.dumps(self.results))  # they are stored as a text in a document
        return sum(len(text.encode()) for text in texts) + results

    @property
    def is_item(self) -> bool:
        """False: a receipt counts by its bytes alone."""
        return False
