"""Writes of facts that are sent as one transaction, with a check of all together."""

from __future__ import annotations

import pytest

from factstore.core.errors import OutcomeUnknown
from factstore.store.client import Failure
from factstore.store.client import messages as rpc
from factstore.store.client.encoding import encode_transaction
from factstore.store.commit_batch import BATCH_SIZE, united
from factstore.store.commit_batcher import APART, CommitBatcher
from factstore.store.types import Compare, FactTxn, Fenced, PutKey, Txn
from tests.eventually import eventually
from tests.unit.store.batches import (
    Loop,
    Noted,
    Written,
    fact_txn,
    put,
)


def plain(key: bytes) -> Txn:
    """Return the put of a fact."""
    compares = (Compare(b"epoch", "value", "==", b"one"), Compare(key, "mod", "==", 7))
    return Txn(compares, (PutKey(key, b"v"),))


def message(*txns: Txn) -> rpc.TxnRequest:
    """Return the message of a transaction that does what some do, without repeated compares."""
    compares = dict.fromkeys(compare for txn in txns for compare in txn.compares)
    operations = [operation for txn in txns for operation in txn.operations]
    return rpc.TxnRequest.FromString(encode_transaction(Txn(tuple(compares), operations)))


@pytest.mark.parametrize("succeeds", [True, False])
def test_writes_of_facts_are_sent_as_one_first_and_apart_if_one_of_them_fails(
    batcher: CommitBatcher, loop: Loop, written: Written, succeeds: bool
) -> None:
    plain_txns = [plain(b"a"), plain(b"b"), plain(b"c")]
    txns = list(map(fact_txn, plain_txns))
    for txn in txns:
        batcher.send(Noted(txn, written))
    loop.turn()
    ((together,), ended) = loop.batches.pop()
    assert rpc.TxnRequest.FromString(encode_transaction(together)) == message(*plain_txns)
    ended(([succeeds], 7))
    if not succeeds:
        assert written.ended == []
        apart, ended = loop.batches.pop()
        assert apart == txns
        ended(([True, False, True], 8))
    assert [(each.txn, each.succeeded, each.revision) for each in written.ended] == [
        (txn, succeeds or txn is not txns[1], 7 if succeeds else 8) for txn in txns
    ]
    sizes = []
    for _ in range(APART + 1):
        for txn in txns:
            batcher.send(Noted(txn, written))
        loop.turn()
        sent, ended = loop.batches.pop()
        sizes.append(len(sent))
        ended(([True] * len(sent), 9))
    # While others write the same facts, it would only cost time.
    assert sizes == [1] * (APART + 1) if succeeds else [3] * APART + [1]
    assert len(written.ended) == 3 * (APART + 2)


@pytest.mark.parametrize("outcome", [*Failure, Fenced(8)])
def test_writes_that_are_sent_as_one_have_the_outcome_of_any_batch_if_it_fails(
    batcher: CommitBatcher, loop: Loop, written: Written, outcome: Failure | Fenced
) -> None:
    txns = [fact_txn(plain(b"a")), fact_txn(plain(b"b"))]
    for txn in txns:
        batcher.send(Noted(txn, written))
    loop.turn()
    (_, ended) = loop.batches.pop()
    ended(outcome)
    if outcome is Failure.LOST:
        assert [type(each.error) for each in written.ended] == [OutcomeUnknown, OutcomeUnknown]
        assert written.sent.empty()
        return
    eventually(lambda: len(written.ended) == 2)
    assert [written.sent.get(timeout=60) for _ in txns] == txns  # as they are, from the thread
    assert all(each.succeeded for each in written.ended)


def test_only_what_fits_in_a_transaction_and_stores_facts_is_united() -> None:
    fitting = [
        fact_txn(plain(b"%d" % number)) for number in range(BATCH_SIZE - 1)
    ]  # and the common compare
    found = united(fitting)
    assert found is not None
    assert len(found.compares) == BATCH_SIZE
    assert united([*fitting, fact_txn(plain(b"more"))]) is None
    assert united([fitting[0], put(b"other")]) is None
    both = FactTxn((), b"encoded", [b"k"] * BATCH_SIZE)
    assert united([both]) is not None
    assert united([both, fact_txn(plain(b"a"))]) is None
