"""Messages that are made by hand are those that protobuf makes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factstore.store.client import messages as rpc
from factstore.store.client.encoding import encode_attempt, encode_raising, encode_transaction
from factstore.store.types import Compare, DeleteKeys, Fence, Operation, PutKey, Txn

KEYS = st.binary(min_size=1, max_size=300)
NUMBERS = st.integers(0, 2**63 - 1)
COMPARES = st.one_of(
    st.builds(
        Compare,
        KEYS,
        st.sampled_from(["create", "mod"]),
        st.sampled_from(["==", "<"]),
        NUMBERS,
        st.one_of(st.just(b""), KEYS),
    ),
    st.builds(Compare, KEYS, st.just("value"), st.just("=="), st.binary(max_size=300)),
)
OPERATIONS = st.one_of(
    st.builds(PutKey, KEYS, st.binary(max_size=20_000), st.one_of(st.just(0), NUMBERS)),
    st.builds(DeleteKeys, KEYS, st.one_of(st.just(b""), KEYS)),
)
TXNS = st.builds(
    Txn, st.lists(COMPARES, max_size=4).map(tuple), st.lists(OPERATIONS, max_size=4).map(tuple)
)


_TARGETS = {"create": rpc.Compare.CREATE, "mod": rpc.Compare.MOD, "value": rpc.Compare.VALUE}
_OPERANDS = {"create": "create_revision", "mod": "mod_revision", "value": "value"}
_RESULTS = {"==": rpc.Compare.EQUAL, "<": rpc.Compare.LESS}


def transaction(txn: Txn) -> Any:
    """Return a request that applies all operations if all compares succeed."""
    return rpc.TxnRequest(
        compare=[_compare(compare) for compare in txn.compares],
        success=[_operation(operation) for operation in txn.operations],
    )


def fenced(inner: Sequence[Any], compares: Sequence[Any], fence: Fence) -> Any:
    """Return a request with operations, which reads the key of the fence if it was raised."""
    same = rpc.Compare(key=fence.key, target=rpc.Compare.MOD, mod_revision=fence.revision)
    read = rpc.RequestOp(request_range=rpc.RangeRequest(key=fence.key))
    return rpc.TxnRequest(compare=[same, *compares], success=inner, failure=[read])


def attempt(txns: Sequence[Txn], fence: Fence) -> Any:
    """Return a request with transactions behind a fence."""
    if len(txns) == 1:
        single = transaction(txns[0])
        return fenced(single.success, single.compare, fence)
    # etcd does not count nested puts, and would store them beyond its quota.  It counts this one, which
    # is never carried out, because a request without compares always succeeds.
    puts = (each for txn in txns for each in txn.operations if isinstance(each, PutKey))
    counted = [_operation(PutKey(put.key, b"")) for put in islice(puts, 1)]
    nested = fenced([rpc.RequestOp(request_txn=transaction(txn)) for txn in txns], [], fence)
    return rpc.TxnRequest(success=[rpc.RequestOp(request_txn=nested)], failure=counted)


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


@given(TXNS)
def test_a_transaction_is_the_message_of_protobuf(txn: Txn) -> None:
    assert rpc.TxnRequest.FromString(encode_transaction(txn)) == transaction(txn)


FENCES = st.builds(Fence, KEYS, NUMBERS)


@given(st.lists(TXNS, min_size=1, max_size=4), FENCES)
def test_an_attempt_is_the_message_of_protobuf(txns: list[Txn], fence: Fence) -> None:
    assert rpc.TxnRequest.FromString(encode_attempt(txns, fence)) == attempt(txns, fence)


@given(FENCES)
def test_the_raising_of_a_fence_is_the_message_of_protobuf(fence: Fence) -> None:
    expected = fenced([_operation(PutKey(fence.key, b""))], [], fence)
    assert rpc.TxnRequest.FromString(encode_raising(fence)) == expected
