"""Transactions that are made in one pass are those that are made the long way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.record import RecordKey
from factstore.core.model.transaction import Transaction, TreeGuards
from factstore.store.client import messages as rpc
from factstore.store.client.encoding import encode_transaction
from factstore.store.fact_txns import FactTxns
from factstore.store.keyspace import Keyspace
from factstore.store.txn import compares_for, operations_for
from factstore.store.types import Txn
from tests.unit.core.factories import fact, stack

KEYS = Keyspace("/factstore/v1")
LIVES = (b"life", b"another life")
PATHS = st.sampled_from(["a", "a/b", "a/b/c", "a-b", "x" * 200 + "/y", "results/n/x"])
SETS = st.frozensets(PATHS, max_size=2)
REVISIONS = st.sampled_from([0, 1, 127, 128, 1023, 1024, 2**40])
VALUES = st.sampled_from([1, "ä" * 3, "v" * 300, "w" * 20_000])
STACKS = st.sampled_from(
    [
        stack(created=5, revision=7),
        stack(created=5, revision=8),
        stack(created=9),
        stack(name="other", id="f" * 32),
        stack(name="", id="unnamed"),
    ]
)
FACTS: st.SearchStrategy[Fact] = st.builds(
    lambda path, value, fields: fact(path, value, **fields),
    PATHS,
    VALUES,
    st.sampled_from([{}, {"ttl": 60, "lease": 2**50}, {"sealed": "xyz", "text": "null"}]),
)
OFTEN_NONE: st.SearchStrategy[dict[str, object]] = st.one_of(
    st.just({}),
    st.just({}),
    st.sampled_from(
        [
            {"deletes": ("a",)},
            {"creates_stack": True},
            {"updates_stack": True},
            {"drops_stack": True},
            {"removes": (DATA_KEY,)},
            {"cleared_waiters": ("w",)},
            {"author": DeletionAuthor("s", "u", "r")},
        ]
    ),
)
TRANSACTIONS = st.builds(
    lambda of, fields, others: Transaction(of, 30, **{**fields, **others}),
    STACKS,
    st.fixed_dictionaries(
        {
            "fact_revisions": st.dictionaries(PATHS, REVISIONS, max_size=4),
            "record_revisions": st.dictionaries(
                st.sampled_from([DATA_KEY, RecordKey(Member, "m")]), REVISIONS, max_size=2
            ),
            "tree": st.builds(TreeGuards, SETS, SETS, st.frozensets(st.one_of(PATHS, st.just("")))),
            "puts": st.lists(FACTS, max_size=3).map(tuple),
        }
    ),
    OFTEN_NONE,
)


@given(st.lists(st.tuples(TRANSACTIONS, st.sampled_from(LIVES)), min_size=1, max_size=3))
def test_a_transaction_is_the_same_either_way_or_none(
    commits: list[tuple[Transaction, bytes]],
) -> None:
    short = FactTxns(KEYS)
    for commit, life in commits:
        found = short.make(commit, life)
        plain = replace(commit, puts=(), fact_revisions={}, record_revisions={}, tree=TreeGuards())
        simple = plain == Transaction(commit.stack, 30) and commit.stack.name
        assert (found is not None) == bool(simple and commit.puts)
        if found is None:
            continue
        long = Txn(compares_for(commit, KEYS, life), operations_for(commit, KEYS))
        both = [rpc.TxnRequest.FromString(encode_transaction(each)) for each in (found, long)]
        assert both[0] == both[1]
        each = [rpc.TxnRequest.FromString(compare).compare for compare in found.compares]
        assert [list(one) for one in each] == [[one] for one in both[1].compare]
        for name in ("written", "compared", "compared_ranges"):
            assert sorted(getattr(found, name)) == sorted(getattr(long, name)), name
        assert (found.size, found.first_put) == (long.size, long.first_put)


@pytest.mark.parametrize(
    ("revision", "fields", "known"),
    [
        (0, {}, True),
        (7, {"version": 2, "created": 5}, True),
        (7, {"version": 2}, False),
        (None, {}, False),
        (0, {"sealed": "xyz", "text": "null"}, False),
    ],
)
def test_facts_are_known_in_advance_if_their_revisions_are_compared(
    revision: int | None, fields: dict[str, object], known: bool
) -> None:
    put = fact("a", 1, **fields)  # type: ignore[arg-type]
    revisions = {} if revision is None else {"a": revision}
    made = FactTxns(KEYS).make(
        Transaction(stack(created=5), 30, puts=(put,), fact_revisions=revisions), b"life"
    )
    assert made is not None
    assert (made.facts is not None) == known


def test_what_the_writes_of_a_stack_have_in_common_is_made_again_for_another_stack() -> None:
    short, found = FactTxns(KEYS), set[bytes]()
    first = stack(created=5)
    stacks: list[Stack] = [first, replace(first, revision=8), replace(first, id="e" * 32)]
    for of in stacks:
        made = short.make(Transaction(of, 30, puts=(fact("a", 1),)), b"life")
        assert made is not None
        found.add(encode_transaction(made))
    assert len(found) == 3
