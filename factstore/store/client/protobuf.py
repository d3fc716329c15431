"""Conversion between the types of the client and the messages of etcd."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from factstore.store.client import messages as rpc
from factstore.store.types import (
    Compare,
    DeleteKeys,
    GetKey,
    KeyValue,
    Operation,
    PutKey,
    Txn,
    WatchEvent,
)

_TARGETS = {"create": rpc.Compare.CREATE, "mod": rpc.Compare.MOD, "value": rpc.Compare.VALUE}
_OPERANDS = {"create": "create_revision", "mod": "mod_revision", "value": "value"}
_RESULTS = {"==": rpc.Compare.EQUAL, "<": rpc.Compare.LESS}


def key_value(kv: Any) -> KeyValue:
    """Return a stored key."""
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def watch_event(event: Any) -> WatchEvent:
    """Return an event of a watch."""
    return WatchEvent(key_value(event.kv), event.type == 1)


def transaction(txn: Txn) -> Any:
    """Return a request that applies all operations if all compares succeed."""
    return rpc.TxnRequest(
        compare=[_compare(compare) for compare in txn.compares],
        success=[_operation(operation) for operation in txn.operations],
    )


def nested_transactions(txns: Sequence[Txn]) -> Any:
    """Return a request with several transactions."""
    # etcd does not count nested puts, and would store them beyond its quota.  It counts this one, which
    # is never carried out, because a request without compares always succeeds.
    puts = (each for txn in txns for each in txn.operations if isinstance(each, PutKey))
    counted = [_operation(PutKey(put.key, b"")) for put in islice(puts, 1)]
    return rpc.TxnRequest(
        success=[rpc.RequestOp(request_txn=transaction(txn)) for txn in txns], failure=counted
    )


def _compare(compare: Compare) -> Any:
    return rpc.Compare(
        key=compare.key,
        range_end=compare.end,
        target=_TARGETS[compare.target],
        result=_RESULTS[compare.result],
        **{_OPERANDS[compare.target]: compare.operand},
    )


def _operation(operation: Operation) -> Any:
    match operation:
        case PutKey(key, value, lease):
            return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))
        case DeleteKeys(key, end):
            request = rpc.DeleteRangeRequest(key=key, range_end=end)
            return rpc.RequestOp(request_delete_range=request)
        case GetKey(key):
            return rpc.RequestOp(request_range=rpc.RangeRequest(key=key))
