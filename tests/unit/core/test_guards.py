"""The guards of a transaction, judged on a later state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.event import (
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.transaction import Transaction, TreeGuards
from factstore.core.operations.guards import holds
from factstore.core.state.state import State
from tests.unit.core.factories import SCOPE, fact, stack, state_with

KEY = DataKey(wrapped="w")


def written(state: State, *mutations: Mutation) -> State:
    state.apply(Step(state.revision + 1, mutations))
    return state


@pytest.fixture
def state() -> State:
    """A state with the facts p and q, and the record of a key."""
    return written(state_with(["p", "q"]), PutRecord("s1", replace(KEY, revision=4)))


@pytest.fixture
def transaction(state: State) -> Transaction:
    """One that changes nothing, and was decided on p, on a missing fact and on two records."""
    found = state.stack(SCOPE)
    assert found is not None
    return Transaction(
        found,
        state.revision,
        state.epoch,
        fact_revisions={"p": 2, "missing": 0},
        record_revisions={DATA_KEY: 4},
    )


def test_guards_hold_while_only_other_things_change(state: State, transaction: Transaction) -> None:
    assert holds(transaction, state)
    assert holds(transaction, written(state, PutFact("s1", fact("q", 9, 5))))
    assert holds(transaction, written(state, DropFact("s1", "q")))


@pytest.mark.parametrize(
    "change",
    [
        lambda state: written(state, PutFact("s1", fact("p", 2, 5))),
        lambda state: written(state, DropFact("s1", "p")),
        lambda state: written(state, PutFact("s1", fact("missing", 1, 5))),
        lambda state: written(state, PutRecord("s1", replace(KEY, revision=5))),
        lambda state: written(state, DropRecord("s1", DATA_KEY)),
        lambda state: written(state, PutStack(stack(revision=5))),
        lambda state: written(state, DropStack(SCOPE)),
        lambda state: written(
            written(state, DropStack(SCOPE)), PutStack(stack(stack_id="s2", created=6))
        ),
        lambda state: State(9, state.epoch),
    ],
)
def test_no_guard_holds_after_a_change_of_what_it_guards(
    state: State, transaction: Transaction, change: Callable[[State], State]
) -> None:
    assert not holds(transaction, change(state))


def test_guards_of_another_store_do_not_hold(state: State, transaction: Transaction) -> None:
    assert not holds(replace(transaction, epoch="f" * 16), state)


def test_guards_on_folders_are_not_judged(state: State, transaction: Transaction) -> None:
    tree = TreeGuards(subtrees=frozenset({"a"}))
    assert not holds(replace(transaction, tree=tree), state)
