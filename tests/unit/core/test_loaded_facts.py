"""Facts that are loaded together leave a stack as if each of them had been put."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import PutFact, PutFacts, PutStack
from factstore.core.model.fact import Fact
from factstore.core.model.member import Applied
from factstore.core.model.permissions import OWNER
from factstore.core.model.pulse import monitored
from factstore.core.model.read_set import ReadSet
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from tests.unit.core.factories import SCOPE, fact, stack
from tests.unit.core.records import member, stack_state, waiter

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LEASE = monitored(1 << 60)
PATHS = ("a", "a/b", "b", "configs/c", "n/1", "n/10", "n/2", "results/c", "resultsish", "z")
facts = st.lists(
    st.builds(
        fact,
        st.sampled_from(PATHS),
        st.sampled_from([1, "two", "ä"]),
        st.integers(5, 9),
        created=st.integers(1, 5),
    )
    | st.builds(
        fact,
        st.sampled_from(PATHS),
        revision=st.integers(5, 9),
        member=st.sampled_from([None, "c1"]),
        ttl=st.sampled_from([None, 60]),
        cause=st.sampled_from([0, 3]),
        lease=st.just(LEASE),
        sealed=st.sampled_from([None, "sealed"]),
    ),
    max_size=8,
)


def nothing(it: StackState) -> None:
    """Change nothing."""


def a_fact(it: StackState) -> None:
    it.put(fact("b", 1, 2))


def a_deletion(it: StackState) -> None:
    it.put(fact("b", 1, 2))
    it.drop("b", 3)


def a_member_that_has_applied_all(it: StackState) -> None:
    it.put_record(member("c1", revision=2))
    it.put_record(Applied("c1", 4))


def a_member_with_a_read_set(it: StackState) -> None:
    it.put_record(member("c1", revision=2))
    it.put_record(ReadSet.of("c1", ["n/*"]))
    it.put_record(Applied("c1", 4))


def a_condition(it: StackState) -> None:
    it.put_record(waiter("w", 2, {"facts": "n/1", "present": True}))
    it.evaluate(4)


def a_reader_of_the_checksum(it: StackState) -> None:
    it.checksum.of_view(OWNER, it.facts, it.live_members, it.epoch, results=True)


BEFORE = (
    nothing,
    a_fact,
    a_deletion,
    a_member_that_has_applied_all,
    a_member_with_a_read_set,
    a_condition,
    a_reader_of_the_checksum,
)


def written(of: Any, seen: dict[int, int]) -> Any:
    """Return all that an object of the service contains, in a form that can be compared."""
    if isinstance(of, dict):
        return [(written(key, seen), written(value, seen)) for key, value in of.items()]
    if isinstance(of, list | tuple):
        return [written(each, seen) for each in of]
    if isinstance(of, set | frozenset):
        return sorted(ADDRESS.sub("", repr(each)) for each in of)
    if isinstance(of, type) or callable(of) or not type(of).__module__.startswith("factstore"):
        return of if isinstance(of, str | int | float | None) else type(of)
    if id(of) in seen:
        return seen[id(of)]
    seen[id(of)] = len(seen)
    slots = [name for cls in type(of).__mro__ for name in getattr(cls, "__slots__", ())]
    names = [*vars(of)] if hasattr(of, "__dict__") else slots
    return [(name, written(getattr(of, name), seen)) for name in names if hasattr(of, name)]


@pytest.mark.parametrize("prepare", BEFORE, ids=lambda each: each.__name__)
@given(facts)
def test_facts_that_are_loaded_together_are_as_if_each_was_put(
    prepare: Callable[[StackState], None], loaded: list[Fact]
) -> None:
    one, other = stack_state(), stack_state()
    prepare(one)
    prepare(other)
    one.load(loaded)
    for each in loaded:
        other.put(each)
    assert written(one, {}) == written(other, {})


ODD = {
    "plain": fact("n/1", 2, 9),
    "created earlier": fact("n/1", 2, 9, created=3),
    "bound": fact("n/1", 2, 9, member="c1", lease=LEASE),
    "with a ttl": fact("n/1", 2, 9, ttl=60, lease=LEASE),
    "with a cause": fact("n/1", 2, 9, cause=3),
    "sealed": fact("n/1", None, 9, sealed="sealed"),
    "a result": fact("results/c", 2, 9),
    "a configuration": fact("configs/c", 2, 9),
    "before the others": fact("A", 2, 9),
    "twice": fact("a", 2, 9),
}


@pytest.mark.parametrize("prepare", BEFORE, ids=lambda each: each.__name__)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_one_fact_among_plain_ones_is_loaded_as_if_it_was_put(
    prepare: Callable[[StackState], None], odd: Fact
) -> None:
    one, other = stack_state(), stack_state()
    loaded = [fact("a", 1, 5), odd, fact("z", 1, 6)]
    for it in (one, other):
        prepare(it)
        it.unsettled = False
    one.load(loaded)
    for each in loaded:
        other.put(each)
    assert written(one, {}) == written(other, {})


@given(facts)
def test_sorted_facts_are_loaded_as_each_is_put(loaded: list[Fact]) -> None:
    unique = [*{each.path: each for each in sorted(loaded, key=lambda each: each.path)}.values()]
    runs, single = State(9), State(9)
    runs.load([PutStack(stack()), PutFacts("s1", unique[:4]), PutFacts("s1", unique[4:])])
    single.load([PutStack(stack()), *(PutFact("s1", each) for each in unique)])
    assert written(runs.stack_state(SCOPE), {}) == written(single.stack_state(SCOPE), {})
    assert runs.mutations() == single.mutations()


def test_facts_of_an_unknown_stack_are_not_loaded() -> None:
    state = State(9)
    state.load([PutFacts("gone", [fact("a")])])
    assert state.mutations() == []
