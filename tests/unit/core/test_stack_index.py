"""The stacks that exist, by scope, by id and by project."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factstore.core.model.fact import Scope
from factstore.core.model.unnamed import unnamed_stack
from factstore.core.model.usage import ProjectUsage
from factstore.core.state.stack_index import StackIndex
from tests.unit.core.factories import EPOCH, fact, stack

OF_P1, ALSO_OF_P1, OF_P2 = Scope("p1", "b"), Scope("p1", "a"), Scope("p2", "b")


@pytest.fixture
def stacks() -> StackIndex:
    index = StackIndex(EPOCH, 7)
    for stack_id, scope in (("s1", OF_P1), ("s2", ALSO_OF_P1), ("s3", OF_P2)):
        index.put(stack(scope, stack_id))
    index.by_id["s1"].put(fact("a", "x"))
    index.by_id["s3"].put(fact("a", "xyz"))
    return index


def names(index: StackIndex, project_id: str, after: str = "") -> list[str]:
    return [each.name for each in index.of_project(project_id, after)]


def test_a_stack_is_found_by_its_scope_and_its_id(stacks: StackIndex) -> None:
    assert stacks.by_scope[OF_P1] is stacks.by_id["s1"]
    assert stacks.by_scope[OF_P1].stack.scope == OF_P1
    assert {each.stack.id for each in stacks} == {"s1", "s2", "s3"}


def test_a_new_record_of_a_stack_leaves_its_contents(stacks: StackIndex) -> None:
    before = stacks.by_id["s1"]
    stacks.put(replace(before.stack, description="new"))
    assert stacks.by_id["s1"] is before
    assert before.stack.description == "new"
    assert list(before.facts) == ["a"]
    assert names(stacks, "p1") == ["a", "b"]


def test_the_stacks_of_a_project_are_listed_by_name(stacks: StackIndex) -> None:
    assert names(stacks, "p1") == ["a", "b"]
    assert names(stacks, "p1", after="a") == ["b"]
    assert names(stacks, "p1", after="b") == names(stacks, "unknown") == []


def test_a_dropped_stack_is_found_nowhere_and_counts_no_more(stacks: StackIndex) -> None:
    dropped = stacks.drop(OF_P1)
    assert dropped is not None
    assert dropped.stack.id == "s1"
    assert OF_P1 not in stacks.by_scope
    assert "s1" not in stacks.by_id
    assert names(stacks, "p1") == ["a"]
    assert stacks.project_usage("p1") == ProjectUsage(1, 0, 0)
    assert stacks.drop(OF_P1) is None


def test_a_stack_that_was_created_again_is_not_the_former_one(stacks: StackIndex) -> None:
    former = stacks.drop(OF_P1)
    stacks.put(stack(OF_P1, "s9"))
    assert stacks.by_scope[OF_P1] is stacks.by_id["s9"] is not former
    assert stacks.by_scope[OF_P1].facts == {}
    assert names(stacks, "p1") == ["a", "b"]


def test_usage_is_that_of_the_stacks_of_a_project_or_of_all(stacks: StackIndex) -> None:
    first, third = (stacks.by_id[each].bytes for each in ("s1", "s3"))
    assert stacks.project_usage("p1") == ProjectUsage(2, 1, first)
    assert stacks.project_usage("p2") == ProjectUsage(1, 1, third)
    assert stacks.project_usage("unknown") == ProjectUsage(0, 0, 0)
    assert stacks.total() == ProjectUsage(3, 2, first + third)


def test_an_unnamed_stack_can_be_changed_and_is_never_dropped(stacks: StackIndex) -> None:
    unnamed = unnamed_stack("p1")
    found = stacks.to_change(unnamed.id)
    assert found is not None
    assert stacks.unnamed.of("p1") is found
    assert stacks.to_change("s1") is stacks.by_id["s1"]
    assert stacks.to_change("unknown") is None
    assert list(stacks)[-1] is found
    assert stacks.drop(unnamed.scope) is None
    assert names(stacks, "p1") == ["a", "b"]
