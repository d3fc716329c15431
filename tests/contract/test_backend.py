"""Opening and committing, on the memory backend and on a real etcd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DeletionAuthor, DropFact, DropStack, PutFact, PutStack, Step
from factstore.core.model.fact import Scope, Stack
from factstore.core.model.transaction import GUARDS, TreeGuards
from factstore.core.operations.tree import tree_guards
from factstore.core.ports import Backend, Transaction
from factstore.core.state.state import State
from factstore.store.types import PutKey, Txn
from tests.contract.world import (
    PROJECT,
    EtcdWorld,
    World,
    current,
    make_stack,
    new_fact,
    new_scope,
    open_store,
    put_all,
    soon,
    steps,
)

# Opening


def test_a_new_store_is_empty_and_its_epoch_stays(world: World) -> None:
    backend = world.backend()
    first, second = open_store(backend), open_store(backend)
    assert first.epoch == second.epoch == world.backend().open().epoch
    assert len(first.epoch) == 16
    assert int(first.epoch, 16) >= 0
    assert not first.mutations


def test_the_snapshot_and_later_steps_result_in_the_present_state(
    world: World, backend: Backend, stack: Stack
) -> None:
    for n in range(5):
        put_all(backend, stack, new_fact(f"f{n}"))
    head = put_all(backend, stack, new_fact("f0", "2"))
    for opening in (world.backend().open(), world.backend(window=3).open()):
        state = State(opening.revision)
        state.load(opening.mutations)
        for step in steps(backend, opening.revision, head) if opening.revision < head else []:
            state.apply(step)
        contents = state.contents(stack.scope)
        assert contents is not None
        assert {f.path: f.text for f in contents.facts} == current(backend, stack)


def test_a_compacted_store_opens_at_the_oldest_revision_that_is_left(
    world: World, backend: Backend, stack: Stack
) -> None:
    old = put_all(backend, stack, new_fact("a"))
    kept = put_all(backend, stack, new_fact("b"))
    last = put_all(backend, stack, new_fact("c"))
    backend.compact(kept, soon())
    opening = world.backend().open()
    assert old < opening.revision <= last
    state = State(opening.revision)
    state.load(opening.mutations)
    for step in steps(backend, opening.revision, last) if opening.revision < last else []:
        state.apply(step)
    contents = state.contents(stack.scope)
    assert contents is not None
    assert [(f.path, f.version) for f in contents.facts] == [("a", 1), ("b", 1), ("c", 1)]


def test_a_worker_begins_where_the_last_one_has_noted_that_it_ends(etcd_world: EtcdWorld) -> None:
    last = etcd_world.opened_backend()
    stack = make_stack(last, new_scope())
    followed = put_all(last, stack, new_fact("a"))
    missed = put_all(last, stack, new_fact("b"))
    epoch = last.open().epoch
    last.followed.note(Cursor(epoch, followed), soon(), at_once=True)
    first = etcd_world.backend()
    opening = first.open(recent=True)
    list(opening.mutations)
    opening.use()
    assert opening.revision == followed
    assert next(first.follow(followed)).revision == missed
    last.followed.note(Cursor(epoch, missed + 1), soon(), at_once=True)
    # Nothing but the note was written at its revision.
    assert etcd_world.backend().open(recent=True).revision == missed + 2 == last.head(soon())


def test_what_is_written_while_the_contents_are_read_is_followed(
    world: World, backend: Backend, stack: Stack
) -> None:
    put_all(backend, stack, new_fact("a"))
    other = world.backend()
    opening = other.open()
    contents = iter(opening.mutations)
    next(contents, None)
    later = put_all(backend, stack, new_fact("b"))
    list(contents)
    opening.use()
    assert [step.revision for step in steps(other, opening.revision, later)][-1] == later


# Committing


def test_a_stack_knows_the_revision_that_created_it(backend: Backend, scope: Scope) -> None:
    before = backend.head(soon())
    made = make_stack(backend, scope)
    assert made.created == made.revision == backend.head(soon())
    (step,) = steps(backend, before, made.created)
    assert step == Step(made.created, (PutStack(made),))


def test_a_stack_is_created_once(backend: Backend, stack: Stack) -> None:
    again = replace(stack, id="another", created=0, revision=0)
    head = backend.head(soon())
    assert backend.commit(Transaction(again, head, creates_stack=True), soon()) is None
    assert backend.head(soon()) == head


def test_a_stack_is_updated_only_at_its_present_revision(backend: Backend, stack: Stack) -> None:
    changed = replace(stack, description="new")
    revision = backend.commit(Transaction(changed, 0, updates_stack=True), soon())
    assert revision is not None
    assert backend.commit(Transaction(changed, 0, updates_stack=True), soon()) is None
    (found,) = [s for s in backend.stacks_at(PROJECT, "", 99, revision, soon()) if s.id == stack.id]
    assert found == replace(changed, revision=revision)


def test_a_commit_is_one_revision_delivered_whole_and_in_order(
    backend: Backend, stack: Stack
) -> None:
    before = put_all(backend, stack, new_fact("old"))
    facts = (new_fact("b"), new_fact("a"), new_fact("c/d"))
    act = DeletionAuthor(stack.id, "bob", "req-bob", ("old",))
    revision = put_all(backend, stack, *facts, deletes=("old",), author=act)
    assert backend.deletion_revision(act, before, soon()) == revision
    assert backend.deletion_revision(act, revision, soon()) is None
    assert backend.deletion_revision(replace(act, request_id="x"), before, soon()) is None
    (step,) = steps(backend, before, revision)
    assert step.revision == revision
    delivered = [replace(m.fact, revision=0) for m in step.mutations if isinstance(m, PutFact)]
    assert delivered == list(facts)
    assert all(m.fact.revision == revision for m in step.mutations if isinstance(m, PutFact))
    assert [m for m in step.mutations if not isinstance(m, PutFact)] == [
        DropFact(stack.id, "old"),
        act,
    ]


def test_a_fact_counts_its_versions_from_its_creation(backend: Backend, stack: Stack) -> None:
    head = backend.head(soon())
    put_all(backend, stack, new_fact("p", "1"))
    put_all(backend, stack, replace(new_fact("p", "2"), version=2))
    put_all(backend, stack, new_fact("other"), deletes=("p",))
    last = put_all(backend, stack, new_fact("p", "3"))
    versions = [
        m.fact.version
        for step in steps(backend, head, last)
        for m in step.mutations
        if isinstance(m, PutFact) and m.fact.path == "p"
    ]
    assert versions == [1, 2, 1]


def test_a_commit_that_finds_a_path_changed_writes_nothing(backend: Backend, stack: Stack) -> None:
    revision = put_all(backend, stack, new_fact("p"))
    put_all(backend, stack, new_fact("gone"))
    put_all(backend, stack, new_fact("unrelated"), deletes=("gone",))
    head = backend.head(soon())
    for expected in ({"p": 0}, {"p": revision + 1}, {"p": revision, "gone": revision}, {"q": 1}):
        commit = Transaction(
            stack, head, puts=(new_fact("q"), new_fact("p", "2")), fact_revisions=expected
        )
        assert backend.commit(commit, soon()) is None
    assert backend.head(soon()) == head
    assert "q" not in current(backend, stack)
    held = Transaction(
        stack, head, puts=(new_fact("p", "2"),), fact_revisions={"p": revision, "gone": 0}
    )
    assert backend.commit(held, soon()) == head + 1


@pytest.mark.parametrize(
    ("there", "creates"),
    [
        ("x", ["x/y"]),
        ("x/y", ["x"]),
        ("x/y/z", ["x"]),
        ("x", ["x/y/z"]),
        ("x", ["x/y", "q"]),
        ("x/y", ["x", "q"]),
        ("x/y/z", ["x/y", "q/r"]),
    ],
)
def test_a_commit_that_finds_a_fact_above_or_below_writes_nothing(
    backend: Backend, stack: Stack, there: str, creates: list[str]
) -> None:
    planned_at = backend.head(soon())
    head = put_all(backend, stack, new_fact(there))
    commit = Transaction(
        stack,
        planned_at,
        fact_revisions=dict.fromkeys(creates, 0),
        tree=tree_guards(creates, (), {}, GUARDS),
        puts=tuple(new_fact(path) for path in creates),
    )
    assert backend.commit(commit, soon()) is None
    assert backend.head(soon()) == head


def test_a_creation_in_a_guarded_subtree_fails_the_commit_and_an_older_fact_does_not(
    backend: Backend, stack: Stack
) -> None:
    planned_at = put_all(backend, stack, new_fact("x/old"), new_fact("y/old"))
    put_all(backend, stack, new_fact("x/new"))
    put_all(backend, stack, new_fact("y/old", "2"))
    for subtree, succeeds in (("x", False), ("y", True), ("x/new/a", True), ("", False)):
        commit = Transaction(
            stack,
            planned_at,
            fact_revisions={f"{subtree}/a": 0},
            tree=TreeGuards(subtrees=frozenset({subtree})),
        )
        assert (backend.commit(commit, soon()) is not None) == succeeds, subtree


def test_siblings_with_similar_names_do_not_conflict(backend: Backend, stack: Stack) -> None:
    for path in ("n/1", "n-a", "n.a/b", "n0"):
        put_all(backend, stack, new_fact(path))
    for path in ("n/10", "n-a0", "n.a-", "n0-/x", "m"):
        commit = Transaction(
            stack,
            backend.head(soon()),
            fact_revisions={path: 0},
            tree=tree_guards((path,), (), {}, GUARDS),
            puts=(new_fact(path),),
        )
        assert backend.commit(commit, soon()), path


def test_a_fact_becomes_a_folder_in_one_commit_and_a_folder_a_fact(
    backend: Backend, stack: Stack
) -> None:
    at = put_all(backend, stack, new_fact("x"))
    commit = Transaction(
        stack,
        at,
        fact_revisions={"x": at, "x/y": 0},
        tree=tree_guards(("x/y",), ("x",), {"x": at}, GUARDS),
        deletes=("x",),
        puts=(new_fact("x/y"),),
    )
    at = backend.commit(commit, soon()) or 0
    assert current(backend, stack) == {"x/y": "1"}
    commit = Transaction(
        stack,
        at,
        fact_revisions={"x": 0, "x/y": at},
        tree=tree_guards(("x",), ("x/y",), {"x/y": at}, GUARDS),
        deletes=("x/y",),
        puts=(new_fact("x"),),
    )
    assert backend.commit(commit, soon())
    assert current(backend, stack) == {"x": "1"}


def test_confirming_makes_no_revision_and_fails_when_something_changed(
    backend: Backend, stack: Stack
) -> None:
    revision = put_all(backend, stack, new_fact("p"))
    head = backend.head(soon())
    assert (
        backend.commit(Transaction(stack, head, fact_revisions={"p": revision, "q": 0}), soon())
        == head
    )
    assert (
        backend.commit(Transaction(stack, head, fact_revisions={"p": revision - 1}), soon()) is None
    )
    assert backend.commit(Transaction(stack, head), soon()) == head
    assert backend.head(soon()) == head


def test_nothing_is_written_into_a_stack_that_was_deleted_or_recreated(
    backend: Backend, stack: Stack
) -> None:
    into_the_old = Transaction(stack, 0, puts=(new_fact("p"),), fact_revisions={"p": 0})
    assert backend.commit(Transaction(stack, 0, drops_stack=True), soon())
    assert backend.commit(into_the_old, soon()) is None
    assert backend.commit(Transaction(stack, 0, drops_stack=True), soon()) is None
    again = make_stack(backend, stack.scope)
    assert again.created > stack.created
    assert backend.commit(into_the_old, soon()) is None
    assert backend.commit(Transaction(stack, 0, fact_revisions={"p": 0}), soon()) is None
    assert current(backend, again) == {}


def test_a_stack_is_deleted_in_one_step_with_its_author_and_the_purge_leaves_nothing(
    world: World, backend: Backend, stack: Stack
) -> None:
    before = 0
    for n in range(3):
        before = put_all(backend, stack, *(new_fact(f"f{n}/{m}") for m in range(100)))
    other = make_stack(backend, Scope(PROJECT, f"{stack.name}-other"))
    before = put_all(backend, other, new_fact("stays"))
    act = DeletionAuthor(stack.id, "bob", "req-bob", whole_stack=True)
    revision = backend.commit(Transaction(stack, 0, drops_stack=True, author=act), soon())
    assert revision is not None
    (step,) = steps(backend, before, revision)
    assert step.mutations == (DropStack(stack.scope), act)
    backend.purge_deleted(soon())
    assert world.leftovers(stack) == 0
    assert current(backend, other) == {"stays": "1"}
    backend.purge_deleted(soon())


def test_a_write_planned_before_a_store_was_replaced_is_refused_after(
    backend: Backend, stack: Stack
) -> None:
    head = backend.head(soon())
    puts, expected = (new_fact("p"),), {"p": 0}
    foreign = Transaction(stack, head, "0123456789abcdef", puts=puts, fact_revisions=expected)
    assert backend.commit(foreign, soon()) is None
    own = Transaction(stack, head, open_store(backend).epoch, puts=puts, fact_revisions=expected)
    assert backend.commit(own, soon())


def test_a_backend_that_has_not_noticed_the_replacement_of_the_store_cannot_write(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    backend = etcd_world.backend()
    epoch = open_store(backend).epoch
    stack = make_stack(backend, scope)
    # A restore writes another epoch, although the keys and their revisions can be the same.
    etcd_world.raw.transact(Txn([], [PutKey(etcd_world.keys.epoch, b"ab" * 16)]), deadline=soon())
    transaction = Transaction(stack, 0, epoch, puts=(new_fact("p"),), fact_revisions={"p": 0})
    assert backend.commit(transaction, soon()) is None


def test_the_newest_revision_is_that_of_a_replaced_store_only_when_its_contents_were_read(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    backend = etcd_world.backend()
    epoch = open_store(backend).epoch
    stack = make_stack(backend, scope)
    put = put_all(backend, stack, new_fact("p"))
    backend.followed.note(Cursor(epoch, put), soon(), at_once=True)
    etcd_world.raw.transact(Txn([], [PutKey(etcd_world.keys.epoch, b"cd" * 16)]), deadline=soon())
    opening = backend.open(recent=True)
    for _ in range(2):  # what is in memory is still the former store
        with pytest.raises(CursorExpired):
            backend.head(soon())
        next(iter(opening.mutations))
    list(opening.mutations)
    with pytest.raises(CursorExpired):
        backend.head(soon())
    opening.use()
    assert backend.head(soon()) >= opening.revision
