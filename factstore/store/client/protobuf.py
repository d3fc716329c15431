"""The client's words as etcd's messages, and back.  Nothing is asked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import etcd3.etcdrpc as rpc

from factstore.store.types import (
    Compare,
    DeleteKeys,
    GetKey,
    KeyValue,
    Operation,
    PutKey,
    WatchEvent,
)

_TARGETS = {"create": rpc.Compare.CREATE, "mod": rpc.Compare.MOD, "value": rpc.Compare.VALUE}
_OPERANDS = {"create": "create_revision", "mod": "mod_revision", "value": "value"}
_RESULTS = {"==": rpc.Compare.EQUAL, "<": rpc.Compare.LESS}


def item(kv: Any) -> KeyValue:
    """A key as stored."""
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def event(told: Any) -> WatchEvent:
    """A change that a watch tells of."""
    return WatchEvent(item(told.kv), told.type == 1)


def transaction(compares: Sequence[Compare], operations: Sequence[Operation]) -> Any:
    """All operations, if all compares hold."""
    return rpc.TxnRequest(
        compare=[_compare(compare) for compare in compares],
        success=[_operation(operation) for operation in operations],
    )


def several(members: Sequence[tuple[Sequence[Compare], Sequence[Operation]]]) -> Any:
    """Transactions within one."""
    return rpc.TxnRequest(
        success=[
            rpc.RequestOp(request_txn=transaction(compares, operations))
            for compares, operations in members
        ]
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
