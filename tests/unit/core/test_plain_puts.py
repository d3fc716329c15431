"""The short plan of puts is None, or the very plan that the planner would have made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import FactstoreError
from factstore.core.model.event import Mutation, PutFact, PutRecord, PutStack, Step
from factstore.core.model.fact import Author, Put
from factstore.core.model.grant import Grant
from factstore.core.model.precondition import ABSENT, ANY
from factstore.core.model.quota import UNLIMITED_QUOTA, Quota
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.plain_puts import plan_plain_puts
from factstore.core.operations.planner import Planner
from factstore.core.state.state import State
from tests.unit.core.factories import SCOPE, ManualClock, fact, stack

PATHS = ("a", "a/b", "a/b/c", "a-b", "b", "results/x")
VALUES = st.sampled_from([1, 2, "ä" * 3, {"k": [None]}])
ORDINARY: dict[str, object] = {}
KINDS_OF_FACT = st.sampled_from(
    [
        *([ORDINARY] * 6),
        {"ttl": 60, "lease": 7},
        {"member": "m", "lease": 8},
        {"sealed": "xyz", "text": "null"},
        {"kind": "parameter"},
    ]
)
QUOTAS = st.one_of(
    st.just(UNLIMITED_QUOTA),
    st.builds(
        Quota,
        *[st.sampled_from([-1, 0, 2, 30])] * 5,
    ),
)


@st.composite
def states(draw: Callable[..., Any]) -> State:
    """Draw a state in which the stack, and the facts at some paths, may exist."""
    state = State(epoch="0123456789abcdef")
    if not draw(st.integers(0, 9)):
        return state
    state.apply(Step(1, (PutStack(stack()),)))
    for revision, path in enumerate(draw(st.lists(st.sampled_from(PATHS), unique=True)), 2):
        made = fact(path, draw(VALUES), revision, **{"version": revision, **draw(KINDS_OF_FACT)})
        mutations: list[Mutation] = [PutFact("s1", made)]
        state.apply(Step(revision, tuple(mutations)))
    for revision, grant in enumerate(draw(st.sampled_from([(), ("g",), ("g", "p")])), 20):
        parent = "p" if grant == "g" and draw(st.booleans()) else ""
        record = Grant(
            grant, "agent", "m", None, "0", 60, "n", "u", "n", "u", "r", parent, revision=revision
        )
        state.apply(Step(revision, (PutRecord("s1", record),)))
    return state


PUTS = st.one_of(
    st.builds(Put.of, st.sampled_from(PATHS), VALUES, st.sampled_from(["observed", "parameter"])),
    st.builds(Put.of, st.sampled_from(PATHS), VALUES, ttl=st.sampled_from([None, 60])),
    st.builds(Put.of, st.sampled_from(PATHS), VALUES, generation=st.sampled_from([None, "1f"])),
)
AUTHORS = st.builds(Author, st.just("u"), st.just("r"), st.booleans(), st.sampled_from(["", "g"]))


@given(
    states(),
    st.lists(PUTS, min_size=1, max_size=4, unique_by=lambda put: put.path),
    AUTHORS,
    QUOTAS,
    st.sampled_from([ANY, ANY, ABSENT, None]),
)
def test_the_short_plan_is_the_planners_or_none(
    state: State, puts: list[Put], author: Author, quota: Quota, guard: Any
) -> None:
    guards = [(puts[0].path, guard)] if guard is not None else []
    operation = WriteFacts(SCOPE, puts, guards, author, Encryption(NoKeyring()))
    found = plan_plain_puts(operation, state, "now", quota)
    if found is None:
        return
    clock = ManualClock()
    clock.timestamp = lambda: "now"  # type: ignore[method-assign]

    class Longer(WriteFacts):
        """The same operation, which is not planned in short."""

    longer = Longer(SCOPE, puts, guards, author, Encryption(NoKeyring()))
    planner = Planner(clock, lambda project_id: quota, lambda: "new-id")
    assert planner.plan(longer, state) == found
    assert planner.plan(operation, state) == found


@pytest.mark.parametrize("folders", [1, 40, 100])
def test_the_guards_of_many_new_facts_are_the_planners(folders: int) -> None:
    state = State(epoch="0123456789abcdef")
    state.apply(Step(1, (PutStack(stack()),)))
    puts = [Put.of(f"top/f{number % folders}/k{number}", number) for number in range(100)]
    test_the_short_plan_is_the_planners_or_none.hypothesis.inner_test(  # type: ignore[attr-defined]
        state, puts, Author("u", "r"), UNLIMITED_QUOTA, None
    )
    assert plan_plain_puts(
        WriteFacts(SCOPE, puts, [], Author("u", "r"), Encryption(NoKeyring())),
        state,
        "now",
        UNLIMITED_QUOTA,
    )


def plan(state: State, *puts: Put, **fields: Any) -> object:
    author = fields.pop("author", Author("u", "r"))
    operation = WriteFacts(SCOPE, puts, [], author, Encryption(NoKeyring()), **fields)
    return plan_plain_puts(operation, state, "now", UNLIMITED_QUOTA)


def test_ordinary_puts_have_a_short_plan_and_no_others() -> None:
    state = State()
    assert plan(state, Put.of("a", 1)) is None, "there is no stack"
    state.apply(Step(1, (PutStack(stack()),)))
    state.apply(Step(2, (PutFact("s1", fact("a", 1, 2)), PutFact("s1", fact("t", 1, 2, ttl=9)))))
    for simple in (Put.of("a", 1), Put.of("a", 2), Put.of("b/c", 1)):
        assert plan(state, simple) is not None
    for other in (
        Put.of("a/b", 1),
        Put.of("t", 1),
        Put.of("a", 1, ttl=60),
        Put.of("a", 1, member="m"),
        Put.of("a", 1, generation="1f"),
        Put.of("a", 1, sensitive=True),
    ):
        assert plan(state, other) is None
    assert plan(state, Put.of("a", 2), Put.of("b", 1), Put.of("c/d", 1)) is not None
    assert plan(state, Put.of("b", 1), Put.of("b/c", 1)) is None
    assert plan(state, Put.of("a", 2), Put.of("a", 3)) is None
    assert plan(state, Put.of("a", 2), fences=("1f",)) is None
    assert plan(state, Put.of("a", 2), author=Author("u", "r", grant="unknown")) is None
    with pytest.raises(FactstoreError):
        Put.of("a", 1, ttl=1)
