"""A path is a fact or a folder, however writes of several workers interleave.

The workers' states lag behind one store by any number of steps.  The guards of each write are judged by
the memory backend and as etcd's compares, and both are held against a naive reading of the rule.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Conflict
from factstore.core.model.event import Step
from factstore.core.model.fact import Delete, Put
from factstore.core.model.path import covers
from factstore.core.model.transaction import GUARDS, OWN_GUARDS, Transaction
from factstore.core.operations import planner
from factstore.core.operations.tree import tree_guards
from factstore.core.state.state import State
from factstore.store.keyspace import Keyspace
from factstore.store.txn import compares_for
from factstore.store.types import Compare
from tests.backends.memory import MemoryBackend
from tests.unit.core.factories import PROJECT, SCOPE, ManualClock, put
from tests.unit.core.planning import plan_facts
from tests.unit.core.test_path import paths

KEYS = Keyspace("/factstore/v1")
LIFE = b"life"
WORKERS = 3

names = st.sampled_from(["x", "x/y", "x/y/z", "x/w", "x-a/b", "v/u/t", "v/u"])
request = st.builds(put, names, st.integers(0, 3)) | st.builds(Delete, names)
requests = st.lists(request, min_size=1, max_size=3, unique_by=lambda each: each.path)
catch_up = st.integers(1, 3)
actions = st.lists(
    st.tuples(st.integers(0, WORKERS - 1), requests | requests | catch_up), min_size=4, max_size=30
)


def related(one: str, other: str) -> bool:
    return covers(one, other) or covers(other, one)


def is_a_tree(facts: Iterable[str]) -> bool:
    return not any(a != b and covers(a, b) for a in facts for b in facts)


class Store:
    """One store, the states of its workers, and a naive record of everything."""

    def __init__(self) -> None:
        self.memory = MemoryBackend(ManualClock())
        plan = plan_facts(State(0), [put("first", 1)])
        assert self.memory.commit(plan.commit, 0) == 1
        self.steps: list[Step] = list(self.memory._steps)
        self.workers = [self._behind() for _ in range(WORKERS)]
        self.facts: dict[str, tuple[int, int]] = {"first": (1, 1)}
        self.touched: list[set[str]] = [set()]

    def _behind(self) -> State:
        state = State(0)
        state.apply(self.steps[0])
        return state

    def catch_up(self, worker: int, count: int) -> None:
        state = self.workers[worker]
        for step in self.memory._steps[state.revision :][:count]:
            state.apply(step)

    def write(self, worker: int, changes: list[Put | Delete]) -> None:
        state = self.workers[worker]
        try:
            commit = plan_facts(state, changes, now=f"at {len(self.touched)}").commit
        except Conflict:
            return
        head = len(self.touched)
        succeeds = self.compares_succeed(commit)
        revision = self.memory.commit(commit, 0)
        gone, made = set(commit.deletes), {fact.path for fact in commit.puts}
        after = set(self.facts) - gone | made
        expected = is_a_tree(after) and all(
            self.facts.get(path, (0, 0))[1] == known
            for path, known in commit.fact_revisions.items()
        )
        if revision is not None:
            assert expected
        if succeeds:
            assert revision is not None
        if not commit.tree.subtrees:
            assert succeeds == (revision is not None) == expected
        since = set().union(*self.touched[state.revision :])
        if not any(related(a, b) for a in since for b in commit.fact_revisions):
            assert revision is not None, "a write was refused because of unrelated ones"
        if revision == head + 1:
            for path in gone:
                del self.facts[path]
            for path in made:
                self.facts[path] = (self.facts.get(path, (revision, 0))[0], revision)
            self.touched.append(gone | made)

    def compares_succeed(self, commit: Transaction) -> bool:
        """Return what etcd would answer; the compares of the stack are those of a backend's test."""
        prefix = KEYS.facts(PROJECT, commit.stack.id).start
        stored = {prefix + path.encode(): known for path, known in self.facts.items()}
        compares = [c for c in compares_for(commit, KEYS, LIFE) if c.key.startswith(prefix)]
        return all(self._succeeds(compare, stored) for compare in compares)

    @staticmethod
    def _succeeds(compare: Compare, stored: dict[bytes, tuple[int, int]]) -> bool:
        compared = {"==": operator.eq, "<": operator.lt}[compare.result]
        column = ["create", "mod"].index(compare.target)
        if compare.end:
            found = [known for key, known in stored.items() if compare.key <= key < compare.end]
        else:
            found = [stored.get(compare.key, (0, 0))]
        return all(compared(known[column], compare.operand) for known in found)


def run(steps: list[tuple[int, list[Put | Delete] | int]]) -> None:
    store = Store()
    for worker, action in steps:
        if isinstance(action, int):
            store.catch_up(worker, action)
        else:
            store.write(worker, action)
        present = store.memory._state.contents(SCOPE)
        assert present is not None
        assert {fact.path for fact in present.facts} == set(store.facts)
        assert is_a_tree(store.facts)


@given(actions)
def test_interleaved_writes_keep_the_tree_and_fail_only_for_related_ones(
    steps: list[tuple[int, list[Put | Delete] | int]],
) -> None:
    run(steps)


@given(steps=actions, room=st.integers(1, 3))
def test_coarser_guards_keep_the_tree_as_well(
    steps: list[tuple[int, list[Put | Delete] | int]], room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "GUARDS", OWN_GUARDS + room)
        patch.setattr(f"{__name__}.related", lambda one, other: True)
        run(steps)


# The choice of guards


def test_one_path_is_guarded_at_each_folder_above_and_below() -> None:
    guards = tree_guards(["a/b/c"], (), {"a/b/c": 0}, GUARDS)
    assert (guards.absent, guards.empty, guards.subtrees) == ({"a", "a/b"}, {"a/b/c"}, set())


def test_a_batch_of_ten_facts_is_guarded_exactly() -> None:
    created = [f"nodes/n1/k{n}" for n in range(10)]
    guards = tree_guards(created, (), dict.fromkeys(created, 0), GUARDS - OWN_GUARDS)
    assert guards.absent == {"nodes", "nodes/n1"}
    assert guards.empty == set(created)


def test_a_hundred_facts_in_one_folder_guard_only_their_own_paths() -> None:
    created = [f"nodes/n1/k{n}" for n in range(100)]
    guards = tree_guards(created, (), dict.fromkeys(created, 0), GUARDS - OWN_GUARDS)
    assert guards.absent == {"nodes", "nodes/n1"}
    assert guards.subtrees == set(created)


def test_a_hundred_facts_in_folders_of_their_own_guard_only_these_folders() -> None:
    created = [f"nodes/n{n}/more/role" for n in range(100)]
    guards = tree_guards(created, (), dict.fromkeys(created, 0), GUARDS - OWN_GUARDS)
    assert guards.absent == {"nodes"}
    assert guards.subtrees == {f"nodes/n{n}" for n in range(100)}


def test_if_nothing_else_fits_all_creations_in_the_stack_are_guarded() -> None:
    created = [f"f{n}/x" for n in range(50)]
    guards = tree_guards(created, (), dict.fromkeys(created, 0), 20)
    assert guards.subtrees == {""}


def test_a_fact_that_replaces_the_folder_of_deleted_ones_is_guarded_by_its_subtree() -> None:
    revisions = {"x": 0, "x/y": 3, "z": 0}
    guards = tree_guards(["x", "z"], ["x/y"], revisions, GUARDS)
    assert (guards.absent, guards.empty, guards.subtrees) == (set(), {"z"}, {"x"})


@given(
    st.lists(paths, min_size=1, max_size=100, unique=True), st.integers(0, 100), st.integers(1, 125)
)
def test_the_guards_fit_and_cover_every_path_above_at_and_below(
    touched: list[str], creates: int, room: int
) -> None:
    created = touched[: max(1, creates)]
    revisions = {path: 0 if path in created else 3 for path in touched}
    guards = tree_guards(created, (), revisions, room)
    implied = sum(known == 0 and guards.cover(path) for path, known in revisions.items())
    size = sum(len(getattr(guards, f.name)) for f in dataclasses.fields(guards))
    assert size + len(revisions) - implied <= room or guards.subtrees == {""}
    for path in created:
        assert path in guards.empty or guards.cover(path)
        segments = path.split("/")
        for depth in range(1, len(segments)):
            above = "/".join(segments[:depth])
            assert above in guards.absent or above in revisions or guards.cover(above)
