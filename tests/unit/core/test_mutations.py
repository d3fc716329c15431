"""Which stack a mutation touches, and what watchers see of it."""

from __future__ import annotations

import pytest

from factstore.core.model.blocked_reads import BlockedReads
from factstore.core.model.event import (
    DeletionAuthor,
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.fact import Scope
from factstore.core.model.grant import Grant
from factstore.core.model.unnamed import unnamed_stack
from factstore.core.state.deletion_change import deletion_authors
from factstore.core.state.mutations import apply_mutation, apply_mutations
from factstore.core.state.stack_index import StackIndex
from tests.unit.core.factories import EPOCH, SCOPE, fact, stack
from tests.unit.core.records import member, subscription

BY_BOB = DeletionAuthor("s1", "bob", "req-bob", ("a",))


@pytest.fixture
def stacks() -> StackIndex:
    index = StackIndex(EPOCH, 3)
    index.put(stack())
    index.by_id["s1"].put(fact("a", 1, 2))
    index.by_id["s1"].put_record(member("m1", 3))
    return index


def seen(index: StackIndex, *mutations: Mutation, revision: int = 9) -> dict[str, list[str]]:
    """Return the types and paths of the changes by the ids of the stacks that were touched."""
    found = apply_mutations(index, Step(revision, mutations), deletion_authors(mutations))
    return {
        stack_state.stack.id: [f"{change.type} {change.path}" for change in changes]
        for stack_state, changes in found.items()
    }


def test_facts_of_several_stacks_are_reported_with_their_own(stacks: StackIndex) -> None:
    stacks.put(stack(Scope("p2", "other"), "s2"))
    puts = [PutFact(of, fact(path, 1, 9)) for of, path in (("s1", "b"), ("s2", "c"), ("s1", "d"))]
    assert seen(stacks, *puts) == {"s1": ["fact.put b", "fact.put d"], "s2": ["fact.put c"]}


@pytest.mark.parametrize(
    "mutation",
    [
        PutFact("gone", fact("a")),
        DropFact("gone", "a"),
        DropFact("s1", "unknown"),
        PutRecord("gone", member("m1", 9)),
        DropRecord("gone", member("m1", 9).record_key),
        DropStack(Scope("p2", "unknown")),
        BY_BOB,
    ],
)
def test_remainders_of_deleted_things_touch_no_stack(
    stacks: StackIndex, mutation: Mutation
) -> None:
    assert seen(stacks, mutation) == {}
    assert stacks.last_deletion == 3


def test_a_deletion_is_reported_with_its_author_and_its_revision_is_kept(
    stacks: StackIndex,
) -> None:
    authors = deletion_authors([BY_BOB])
    touched, change = apply_mutation(stacks, DropFact("s1", "a"), authors, 9)
    assert touched is stacks.by_id["s1"]
    assert change is not None
    assert (change.type, change.path, change.by) == ("fact.delete", "a", "bob")
    assert stacks.last_deletion == 9


@pytest.mark.parametrize(
    ("mutation", "revision"),
    [
        (DropStack(SCOPE), 9),
        (DropRecord("s1", member("m1", 3).record_key), 9),
        (PutRecord("s1", member("m2", 9)), 3),
        (PutStack(stack(description="new")), 3),
    ],
)
def test_only_deletions_move_the_revision_of_the_last_one(
    stacks: StackIndex, mutation: Mutation, revision: int
) -> None:
    apply_mutation(stacks, mutation, {}, 9)
    assert stacks.last_deletion == revision


GRANT = Grant("g", "agent", "m1", None, "0", 60, "n", "u", "n", "u", "r", revision=9)


@pytest.mark.parametrize(
    ("mutation", "revision"),
    [
        (PutRecord("s1", GRANT), 9),
        (DropRecord("s1", GRANT.record_key), 9),
        (DropStack(SCOPE), 9),
        (PutRecord("s1", member("m2", 9)), 3),
        (DropRecord("s1", member("m1", 3).record_key), 3),
        (DropFact("s1", "a"), 3),
        (PutRecord("gone", GRANT), 3),
    ],
)
def test_only_changes_of_grants_move_the_revision_of_the_last_one(
    stacks: StackIndex, mutation: Mutation, revision: int
) -> None:
    apply_mutation(stacks, mutation, {}, 9)
    assert stacks.last_grant_change == revision


def test_a_silent_record_touches_no_stack(stacks: StackIndex) -> None:
    noted = BlockedReads("worker", (), 0)
    assert seen(stacks, PutRecord("s1", noted)) == {}
    assert stacks.by_id["s1"].record(noted.record_key) == noted
    assert seen(stacks, DropRecord("s1", noted.record_key)) == {}
    assert stacks.by_id["s1"].record(noted.record_key) is None


def test_a_record_of_a_project_touches_its_unnamed_stack(stacks: StackIndex) -> None:
    unnamed = unnamed_stack("p1").id
    assert seen(stacks, PutRecord(unnamed, subscription())) == {unnamed: []}


def test_a_stack_that_is_deleted_and_created_in_one_step_loses_its_facts(
    stacks: StackIndex,
) -> None:
    again = [DropStack(SCOPE), PutStack(stack(stack_id="s2", created=9))]
    puts = [PutFact("s1", fact("late", 1, 9)), PutFact("s2", fact("b", 1, 9))]
    assert seen(stacks, *again, *puts) == {"s1": ["stack.delete None"], "s2": ["fact.put b"]}
    assert list(stacks.by_scope[SCOPE].facts) == ["b"]
