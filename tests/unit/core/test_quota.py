"""Quotas: writes that would exceed them are refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Forbidden
from factstore.core.model.event import DropFact, DropStack, Mutation, PutFact, PutStack, Step
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.quota import Quota
from factstore.core.state.state import State
from tests.unit.core.factories import PROJECT, fact, put, stack, state_with
from tests.unit.core.planning import Planned, plan_facts


def planned(state: State, requests: Sequence[Put | Delete], limit: Quota) -> Planned:
    return plan_facts(state, requests, quota=limit)


def full() -> State:
    """A project with two stacks and three facts of 2 bytes; two of them are in the first stack."""
    state = state_with(["a", "b"])
    other = stack(Scope(PROJECT, "other"), "s2", 4)
    state.apply(Step(4, (PutStack(other), PutFact("s2", fact("x", 1, 4)))))
    return state


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        (Quota(facts=3), "facts"),
        (Quota(bytes=6), "bytes"),
        (Quota(facts_per_stack=2), "facts_per_stack"),
        (Quota(bytes_per_stack=4), "bytes_per_stack"),
    ],
)
def test_a_write_beyond_a_quota_is_refused_with_the_quotas_name(limit: Quota, name: str) -> None:
    with pytest.raises(Forbidden) as refused:
        planned(full(), [put("c")], limit)
    assert refused.value.code == "quota_exceeded"
    extra = refused.value.extra
    assert extra["quota"] == name
    assert extra["limit"] == extra["used"]
    assert str(extra["limit"]) in refused.value.detail


def test_a_write_that_just_fits_is_accepted() -> None:
    assert planned(full(), [put("c")], Quota(2, 4, 8, 3, 6)).commit.writes


def test_a_project_above_its_quota_may_still_delete_and_change() -> None:
    limit = Quota(1, 1, 1, 1, 1)
    for requests in ([Delete("a")], [put("a", 9)], [put("c"), Delete("a")], [Delete("nothing")]):
        assert planned(full(), requests, limit).commit.stack.id == "s1"


def test_a_batch_counts_additions_changes_and_deletions() -> None:
    state = state_with(["a", "b"])  # of the values 2 and 3
    limit = Quota(facts=2, bytes=4)
    with pytest.raises(Forbidden, match="3 facts in the project"):
        planned(state, [put("c")], limit)
    with pytest.raises(Forbidden, match="5 bytes in the project"):
        planned(state, [put("a", 22)], limit)
    with pytest.raises(Forbidden, match="5 bytes in the project"):
        planned(state, [put("a", 22), put("c"), Delete("b")], limit)
    assert planned(state, [put("a", 22), put("c"), Delete("b")], Quota(bytes=5)).commit.writes
    assert planned(state, [put("c"), Delete("a")], limit).commit.writes


def test_values_count_by_their_bytes() -> None:
    with pytest.raises(Forbidden, match="5 bytes"):
        planned(State(), [put("a", "ö")], Quota(bytes=4))  # a, two quotes, two bytes


def test_a_first_write_counts_a_stack_too() -> None:
    with pytest.raises(Forbidden, match="would make 1 stack in the project"):
        planned(State(), [put("a")], Quota(stacks=0))
    assert planned(State(), [put("a")], Quota(stacks=1)).commit.creates_stack


def test_the_quota_of_a_stack_does_not_count_other_stacks() -> None:
    limit = Quota(facts_per_stack=3)
    assert planned(full(), [put("c")], limit).commit.writes
    with pytest.raises(Forbidden, match="4 facts in the stack"):
        planned(full(), [put("c"), put("d")], limit)


STACKS = st.sampled_from(["s1", "s2", "s3"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("stack"), STACKS, st.just("")),
            st.tuples(st.just("gone"), STACKS, st.just("")),
            st.tuples(st.just("put"), STACKS, st.sampled_from("abcd")),
            st.tuples(st.just("drop"), STACKS, st.sampled_from("abcd")),
        )
    )
)
def test_the_usage_of_a_project_is_the_sum_of_its_stacks(moves: list[tuple[str, str, str]]) -> None:
    state = State()
    for revision, (move, name, path) in enumerate(moves, 1):
        project = PROJECT if name != "s3" else "other"
        scope = Scope(project, name)
        made: list[Mutation] = {
            "stack": [PutStack(stack(scope, f"id-{name}", revision))],
            "gone": [DropStack(scope)],
            "put": [PutFact(f"id-{name}", fact(path, "x" * revision, revision))],
            "drop": [DropFact(f"id-{name}", path)],
        }[move]
        state.apply(Step(revision, tuple(made)))
    for project in (PROJECT, "other"):
        stacks = state.stacks(project)
        usages = [usage for s in stacks if (usage := state.usage(s.scope))]
        contents = [each for s in stacks if (each := state.contents(s.scope))]
        found = state.project_usage(project)
        assert found.stacks == len(stacks)
        assert found.facts == sum(usage.facts for usage in usages)
        assert found.bytes == sum(usage.bytes for usage in usages)
        assert found.bytes == sum(fact.size for each in contents for fact in each.facts)
