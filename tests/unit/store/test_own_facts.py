"""A fact that the process wrote itself is taken from its write just as it would be decoded."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import PutFact
from factstore.core.model.fact import Fact
from factstore.core.model.value import encode
from factstore.store.codec import encode_fact
from factstore.store.decoding import Decoder
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import _FACTS, OwnFacts
from factstore.store.types import KeyValue, PutKey, WatchEvent
from tests.unit.core.factories import PROJECT, fact

KEYS = Keyspace("/factstore/v1")
STACK = "a" * 32
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
            "version": st.integers(1, 9),
            "lease": st.integers(0, 9),
        },
    ),
)
NUMBERS = st.tuples(st.integers(1, 9), st.integers(10, 2**40), st.integers(1, 9), st.integers(0, 9))


def event(written: Fact, numbers: tuple[int, int, int, int] = (1, 2, 3, 0)) -> WatchEvent:
    key = KEYS.fact(PROJECT, STACK, written.path)
    return WatchEvent(KeyValue(key, encode_fact(written), *numbers), False)


def add(own: OwnFacts, *written: Fact) -> None:
    puts = [PutKey(event(each).item.key, event(each).item.value, each.lease) for each in written]
    own.add(STACK, written, puts)


@given(FACTS, NUMBERS)
def test_a_fact_is_the_decoded_one(written: Fact, numbers: tuple[int, int, int, int]) -> None:
    own = OwnFacts()
    add(own, written)
    reported = event(written, numbers)
    taken = own.take(reported.item)
    decoded = Decoder(KEYS).mutation(reported)
    assert isinstance(taken, PutFact)
    assert isinstance(decoded, PutFact)
    assert taken.stack_id == decoded.stack_id
    for each in fields(Fact):  # also those that do not count for equality
        assert getattr(taken.fact, each.name) == getattr(decoded.fact, each.name), each.name
    assert own.take(reported.item) is None, "it is forgotten"


def test_only_the_very_same_bytes_of_a_plain_fact_are_recognised() -> None:
    own, mine = OwnFacts(), fact("a", 1)
    add(own, mine, fact("s", None, sealed="xyz", text="null"))
    assert own.take(event(fact("a", 2)).item) is None
    assert own.take(event(fact("b", 1)).item) is None
    assert own.take(event(fact("s", None, sealed="xyz", text="null")).item) is None
    assert own.take(event(mine).item) is not None


def test_no_more_than_some_thousands_are_remembered() -> None:
    own = OwnFacts()
    for number in range(_FACTS + 1):
        add(own, fact(f"k{number}", number))
    assert own.take(event(fact("k0", 0)).item) is None
    assert own.take(event(fact(f"k{_FACTS}", _FACTS)).item) is not None
