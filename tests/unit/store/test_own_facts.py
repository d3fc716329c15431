"""Facts that the process wrote itself are taken from its writes just as they would be decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import Mutation, PutFact
from factstore.core.model.fact import Fact
from factstore.core.model.transaction import Transaction
from factstore.core.model.value import encode
from factstore.store.codec import encode_fact
from factstore.store.decoding import Decoder
from factstore.store.fact_txns import FactTxns
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import _FACTS, OwnFacts
from factstore.store.types import FactTxn, KeyValue, Txn, WatchEvent
from tests.unit.core.factories import PROJECT, fact, stack

KEYS = Keyspace("/factstore/v1")
STACK = stack(id="a" * 32, created=1)
# A value contains neither lone surrogates nor NUL.
STRINGS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(-9, 9), STRINGS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.just("k"), inner)),
)
FACTS = st.builds(
    lambda path, value, others: fact(path, value, 0, **{**others, "text": encode(value)}),
    st.sampled_from(["a", "a/b-c", "results/n1/x"]),
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "kind": st.sampled_from(["observed", "parameter"]),
            "updated_by": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            "request_id": st.sampled_from(["req-1", "req-2"]),
            "ttl": st.sampled_from([None, 60]),
            "member": st.sampled_from([None, "m"]),
            "lease": st.integers(0, 9),
            "sealed": st.sampled_from([None, "xyz"]),
        },
    ),
).map(lambda made: made if made.sealed is None else replace(made, text="null"))
FACTS = st.one_of(FACTS, FACTS.map(lambda made: replace(made, version=4, created=11)))


def txn_of(written: Sequence[Fact]) -> FactTxn:
    revisions = {each.path: 0 if each.version == 1 else 5 for each in written}
    commit = Transaction(STACK, 30, puts=tuple(written), fact_revisions=revisions)
    made = FactTxns(KEYS).make(commit, b"life")
    assert made is not None
    return made


def events_of(written: Iterable[Fact], revision: int = 60) -> list[WatchEvent]:
    """Return what etcd reports of facts."""
    return [
        WatchEvent(
            KeyValue(
                KEYS.fact(PROJECT, STACK.id, each.path),
                encode_fact(each),
                each.created or revision,
                revision,
                each.version,
                each.lease,
            ),
            False,
        )
        for each in written
    ]


def fields_of(mutations: Iterable[Mutation]) -> list[object]:
    """Return everything that mutations contain, also what does not count for equality."""
    return [
        (m.stack_id, *[getattr(m.fact, each.name) for each in fields(Fact)])
        for m in mutations
        if isinstance(m, PutFact)
    ]


@given(
    st.lists(st.lists(FACTS, min_size=1, max_size=3), min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
    st.sampled_from([{}, {"version": 7}, {"created": 3}, {"request_id": "req-other"}]),
)
def test_facts_are_the_decoded_ones_whatever_else_has_failed_or_happened(
    sent: list[list[Fact]], failed: set[int], differs: dict[str, object]
) -> None:
    numbered = count()
    sent = [[replace(each, path=f"{each.path}{next(numbered)}") for each in txn] for txn in sent]
    txns = [txn_of(each) for each in sent]
    reported = events_of(
        replace(each, memo=None, **differs)  # type: ignore[arg-type]
        for number, txn in enumerate(sent)
        if number not in failed
        for each in txn
    )
    own = OwnFacts()
    own.add(txns)
    found = Decoder(KEYS, own).reported(reported)
    assert fields_of(found) == fields_of(Decoder(KEYS).mutations(reported))
    assert len(found) == len(reported)


def test_what_was_sent_together_is_known_by_its_first_and_its_last_fact() -> None:
    own = OwnFacts()
    alone, first, middle, last = (fact(path, 1) for path in "abcd")
    own.add([txn_of([alone]), Txn((), ()), *[txn_of([each]) for each in (first, middle, last)]])
    reported = events_of([alone, first, middle, last])
    reported[2] = reported[2]._replace(item=reported[2].item._replace(value=b"not read"))
    found = Decoder(KEYS, own).reported(reported)
    facts = [each.fact for each in found if isinstance(each, PutFact)]
    assert list(map(id, facts)) == list(map(id, (alone, first, middle, last)))
    assert own.take(reported[0], 0, reported) is None, "it is forgotten"


@pytest.mark.parametrize("at", [0, 1])
def test_other_bytes_and_numbers_are_not_recognised(at: int) -> None:
    for differs in ({"value": b"x"}, {"version": 9}, {"created": 9}, {"key": b"x"}):
        own, written = OwnFacts(), [fact("a", 1), fact("b", 2)]
        own.add([txn_of(written)])
        reported = events_of(written)
        assert own.take(reported[0], 0, reported[:1]) is None
        reported[at] = reported[at]._replace(item=reported[at].item._replace(**differs))
        assert own.take(reported[0], 0, reported) is None, differs


def test_a_fact_that_readers_have_is_not_changed_when_it_is_reported_again() -> None:
    own, written = OwnFacts(), fact("a", 1)
    for revision in (60, 61):
        own.add([txn_of([written])])
        (found,) = Decoder(KEYS, own).reported(events_of([written], revision))
        assert isinstance(found, PutFact)
        assert (found.fact.revision, written.revision) == (revision, 60)


def test_no_more_than_some_thousands_are_remembered() -> None:
    own, first, reported = OwnFacts(), txn_of([fact("a", 1)]), events_of([fact("a", 1)])
    own.add([first])
    for number in range(_FACTS + 1):
        own.add([replace(first, written=[b"%d" % number])])
    assert own.take(reported[0], 0, reported) is None
    own.add([first])
    assert own.take(reported[0], 0, reported) is not None
