"""The receipt of a write with an ``Idempotency-Key``: stored with it, and replayed to a retry."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from factstore.core.model.cursor import Cursor
from factstore.core.model.receipt import RETENTION, SHARED_SECONDS, Receipt
from factstore.core.model.record import RecordKey
from factstore.core.operations.grants import add_seconds
from factstore.core.operations.operation import Committed, Draft, LeaseRequest, Operation, View
from factstore.core.state.state import State

T = TypeVar("T")


def replay(operation: Operation[T], state: State, earlier: Receipt | None) -> Committed[T] | None:
    """Return the outcome that is stored for the operation's key; None if the key is new.

    :param earlier: the receipt that an earlier version stored outside the stack.
    :raises Conflict: ``idempotency_key_reused``.
    """
    if operation.idempotency is None:
        return None
    view = View(state, operation.scope, now="")
    record = view.record(RecordKey(Receipt, operation.idempotency.key))
    receipt = record if isinstance(record, Receipt) else earlier
    if receipt is None:
        return None
    return Committed(operation.replay(receipt, view), Cursor(state.epoch, receipt.revision))


def with_receipt(operation: Operation[T], view: View, draft: Draft[T]) -> Draft[T]:
    """Return a draft with the receipt of its outcome; without one if it changes nothing.

    A full store has no room for receipts of removals.

    In any case it is guarded that the key is new, because the state may be old.
    """
    if operation.idempotency is None:
        return draft
    key = RecordKey(Receipt, operation.idempotency.key)
    draft = replace(draft, record_revisions={**draft.record_revisions, key: 0})
    if not draft.changes or view.full:
        return draft
    receipt, lease = operation.to_receipt(view, draft), 0
    if view.stack_state is not None:
        since = add_seconds(view.now, -SHARED_SECONDS)
        lease = view.stack_state.receipt_leases.used_since(since)
    request = LeaseRequest(RETENTION + SHARED_SECONDS, lease, shared=True)
    return replace(draft, records=(*draft.records, receipt), leases={**draft.leases, key: request})
