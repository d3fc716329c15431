"""Messages that are made by hand are those that protobuf makes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factstore.store.client import messages as rpc
from factstore.store.client.encoding import encode_transaction, encode_transactions
from factstore.store.client.protobuf import nested_transactions, transaction
from factstore.store.types import Compare, DeleteKeys, GetKey, PutKey, Txn

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
    st.builds(GetKey, KEYS),
)
TXNS = st.builds(
    Txn, st.lists(COMPARES, max_size=4).map(tuple), st.lists(OPERATIONS, max_size=4).map(tuple)
)


@given(TXNS)
def test_a_transaction_is_the_message_of_protobuf(txn: Txn) -> None:
    assert rpc.TxnRequest.FromString(encode_transaction(txn)) == transaction(txn)


@given(st.lists(TXNS, min_size=1, max_size=4))
def test_several_transactions_are_the_message_of_protobuf(txns: list[Txn]) -> None:
    assert rpc.TxnRequest.FromString(encode_transactions(txns)) == nested_transactions(txns)
