"""What every backend promises, on memory and on a real etcd alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.event import Act, DropFact, DropStack, PutFact, PutStack, Step
from factstore.core.fact import Fact, Scope, Stack
from factstore.core.ports import Backend, Commit, Receipt
from factstore.core.state import State
from tests.contract.world import CLOCK, PROJECT, World, make_stack, new_fact, soon, steps
from tests.eventually import eventually


@pytest.fixture
def backend(world: World) -> Backend:
    made = world.backend()
    made.open()
    return made


@pytest.fixture
def stack(backend: Backend, scope: Scope) -> Stack:
    return make_stack(backend, scope)


def put(backend: Backend, stack: Stack, *facts: Fact, **more: object) -> int:
    """Write facts unconditionally, as far as they are new."""
    commit = Commit(stack, backend.head(soon()), puts=facts, **more)  # type: ignore[arg-type]
    revision = backend.commit(replace(commit, expected=commit.expected or {"none": 0}), soon())
    assert revision is not None
    return revision


def current(backend: Backend, stack: Stack) -> dict[str, str]:
    facts = backend.facts_at(stack, "", "", 1000, backend.head(soon()), soon())
    return {fact.path: fact.text for fact in facts}


# Opening


def test_a_new_store_is_empty_and_its_epoch_stays(world: World) -> None:
    backend = world.backend()
    first, second = backend.open(), backend.open()
    assert first.epoch == second.epoch == world.backend().open().epoch
    assert len(first.epoch) == 16
    assert int(first.epoch, 16) >= 0
    assert list(first.mutations) == []


def test_what_a_store_opens_with_and_the_steps_since_make_the_present_state(
    world: World, backend: Backend, stack: Stack
) -> None:
    for n in range(5):
        put(backend, stack, new_fact(f"f{n}"))
    head = put(backend, stack, new_fact("f0", "2"))
    for opening in (world.backend().open(), world.backend(window=3).open()):
        state = State(opening.revision)
        state.load(opening.mutations)
        for step in steps(backend, opening.revision, head) if opening.revision < head else []:
            state.apply(step)
        contents = state.contents(stack.scope)
        assert contents is not None
        assert {f.path: f.text for f in contents.facts} == current(backend, stack)


def test_a_store_that_lost_its_history_opens_with_the_oldest_that_is_left(
    world: World, backend: Backend, stack: Stack
) -> None:
    old = put(backend, stack, new_fact("a"))
    kept = put(backend, stack, new_fact("b"))
    last = put(backend, stack, new_fact("c"))
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
    assert backend.commit(Commit(again, head, creates_stack=True), soon()) is None
    assert backend.head(soon()) == head


def test_settings_are_changed_only_as_they_are_known(backend: Backend, stack: Stack) -> None:
    changed = replace(stack, description="new")
    revision = backend.commit(Commit(changed, 0, updates_stack=True), soon())
    assert revision is not None
    assert backend.commit(Commit(changed, 0, updates_stack=True), soon()) is None
    (found,) = [
        s for s in backend.stacks_at(PROJECT, "", 99, revision, soon()) if s.id == stack.id
    ]
    assert found == replace(changed, revision=revision)


def test_a_commit_makes_one_revision_that_is_told_whole_and_in_order(
    backend: Backend, stack: Stack
) -> None:
    before = put(backend, stack, new_fact("old"))
    facts = (new_fact("b"), new_fact("a"), new_fact("c/d"))
    act = Act(stack.id, "bob", "req-bob", ("old",))
    revision = put(backend, stack, *facts, deletes=("old",), act=act)
    (step,) = steps(backend, before, revision)
    assert step.revision == revision
    told = [replace(m.fact, revision=0) for m in step.mutations if isinstance(m, PutFact)]
    assert told == list(facts)
    assert all(m.fact.revision == revision for m in step.mutations if isinstance(m, PutFact))
    assert [m for m in step.mutations if not isinstance(m, PutFact)] == [
        DropFact(stack.id, "old"),
        act,
    ]


def test_a_fact_counts_its_versions_from_its_creation(backend: Backend, stack: Stack) -> None:
    head = backend.head(soon())
    put(backend, stack, new_fact("p", "1"))
    put(backend, stack, replace(new_fact("p", "2"), version=2))
    put(backend, stack, new_fact("other"), deletes=("p",))
    last = put(backend, stack, new_fact("p", "3"))
    versions = [
        m.fact.version
        for step in steps(backend, head, last)
        for m in step.mutations
        if isinstance(m, PutFact) and m.fact.path == "p"
    ]
    assert versions == [1, 2, 1]


def test_a_commit_that_finds_a_path_changed_writes_nothing(backend: Backend, stack: Stack) -> None:
    revision = put(backend, stack, new_fact("p"))
    put(backend, stack, new_fact("gone"))
    put(backend, stack, new_fact("unrelated"), deletes=("gone",))
    head = backend.head(soon())
    for expected in ({"p": 0}, {"p": revision + 1}, {"p": revision, "gone": revision}, {"q": 1}):
        commit = Commit(stack, head, puts=(new_fact("q"), new_fact("p", "2")), expected=expected)
        assert backend.commit(commit, soon()) is None
    assert backend.head(soon()) == head
    assert "q" not in current(backend, stack)
    held = Commit(stack, head, puts=(new_fact("p", "2"),), expected={"p": revision, "gone": 0})
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
    head = put(backend, stack, new_fact(there))
    commit = Commit(
        stack,
        planned_at,
        expected=dict.fromkeys(creates, 0),
        creates=tuple(creates),
        puts=tuple(new_fact(path) for path in creates),
    )
    assert backend.commit(commit, soon()) is None
    assert backend.head(soon()) == head


def test_siblings_with_similar_names_are_no_obstacle(backend: Backend, stack: Stack) -> None:
    for path in ("n/1", "n-a", "n.a/b", "n0"):
        put(backend, stack, new_fact(path))
    for path in ("n/10", "n-a0", "n.a-", "n0-/x", "m"):
        commit = Commit(
            stack, backend.head(soon()), expected={path: 0}, creates=(path,), puts=(new_fact(path),)
        )
        assert backend.commit(commit, soon()), path


def test_a_fact_becomes_a_folder_in_one_commit_and_a_folder_a_fact(
    backend: Backend, stack: Stack
) -> None:
    at = put(backend, stack, new_fact("x"))
    commit = Commit(
        stack, at, expected={"x": at, "x/y": 0}, creates=("x/y",), deletes=("x",),
        puts=(new_fact("x/y"),),
    )
    at = backend.commit(commit, soon()) or 0
    assert current(backend, stack) == {"x/y": "1"}
    commit = Commit(
        stack, at, expected={"x": 0, "x/y": at}, creates=("x",), deletes=("x/y",),
        puts=(new_fact("x"),),
    )
    assert backend.commit(commit, soon())
    assert current(backend, stack) == {"x": "1"}


def test_confirming_makes_no_revision_and_fails_when_something_changed(
    backend: Backend, stack: Stack
) -> None:
    revision = put(backend, stack, new_fact("p"))
    head = backend.head(soon())
    assert backend.commit(Commit(stack, head, expected={"p": revision, "q": 0}), soon()) == head
    assert backend.commit(Commit(stack, head, expected={"p": revision - 1}), soon()) is None
    assert backend.commit(Commit(stack, head), soon()) == head
    assert backend.head(soon()) == head


def test_nothing_is_written_into_a_stack_that_was_deleted_or_recreated(
    backend: Backend, stack: Stack
) -> None:
    into_the_old = Commit(stack, 0, puts=(new_fact("p"),), expected={"p": 0}, creates=("p",))
    assert backend.commit(Commit(stack, 0, drops_stack=True), soon())
    assert backend.commit(into_the_old, soon()) is None
    assert backend.commit(Commit(stack, 0, drops_stack=True), soon()) is None
    again = make_stack(backend, stack.scope)
    assert again.created > stack.created
    assert backend.commit(into_the_old, soon()) is None
    assert backend.commit(Commit(stack, 0, expected={"p": 0}), soon()) is None
    assert current(backend, again) == {}


def test_a_stack_goes_in_one_step_with_its_act_and_the_sweep_leaves_nothing(
    world: World, backend: Backend, stack: Stack
) -> None:
    before = 0
    for n in range(3):
        before = put(backend, stack, *(new_fact(f"f{n}/{m}") for m in range(100)))
    other = make_stack(backend, Scope(PROJECT, f"{stack.name}-other"))
    before = put(backend, other, new_fact("stays"))
    act = Act(stack.id, "bob", "req-bob", whole_stack=True)
    revision = backend.commit(Commit(stack, 0, drops_stack=True, act=act), soon())
    assert revision is not None
    (step,) = steps(backend, before, revision)
    assert step.mutations == (DropStack(stack.scope), act)
    backend.sweep(soon())
    assert world.leftovers(stack) == 0
    assert current(backend, other) == {"stays": "1"}
    backend.sweep(soon())


# Following


def test_following_begins_after_any_revision_and_misses_and_repeats_nothing(
    backend: Backend, stack: Stack
) -> None:
    first = stack.created
    made = [put(backend, stack, new_fact("p", str(n)), new_fact(f"q{n}")) for n in range(6)]
    whole = steps(backend, first, made[-1])
    assert [step.revision for step in whole] == made
    for n, after in enumerate([first, *made[:-1]]):
        assert steps(backend, after, made[-1]) == whole[n:]


def test_following_waits_for_what_comes(backend: Backend, stack: Stack) -> None:
    following = backend.follow(backend.head(soon()))
    for n in range(3):
        revision = put(backend, stack, new_fact("p", str(n)))
        assert next(following).revision == revision


def test_a_nudge_makes_a_step_that_means_nothing(backend: Backend, stack: Stack) -> None:
    revision = backend.nudge(soon())
    assert revision > stack.created
    assert steps(backend, stack.created, revision) == [Step(revision, ())]


def test_nobody_follows_from_a_revision_that_has_not_been(backend: Backend) -> None:
    with pytest.raises(CursorExpired):
        next(backend.follow(backend.head(soon()) + 1000))


def test_nobody_follows_from_a_revision_that_was_given_up(backend: Backend, stack: Stack) -> None:
    revisions = [put(backend, stack, new_fact("p", str(n))) for n in range(5)]
    backend.compact(revisions[2], soon())
    with pytest.raises(CursorExpired):
        next(backend.follow(revisions[1]))
    assert [s.revision for s in steps(backend, revisions[3], revisions[4])] == [revisions[4]]


def test_a_deletion_next_to_the_point_of_compaction_is_either_told_or_known_to_be_lost(
    backend: Backend, stack: Stack
) -> None:
    before = put(backend, stack, new_fact("p"))
    deleted = put(backend, stack, new_fact("q"), deletes=("p",))
    last = put(backend, stack, new_fact("r"))
    backend.compact(deleted, soon())
    try:
        told = steps(backend, before, last)
    except CursorExpired:
        told = steps(backend, deleted, last)
        assert [step.revision for step in told] == [last]
    else:
        assert DropFact(stack.id, "p") in told[0].mutations


def test_compacting_what_is_given_up_already_is_no_error(backend: Backend, stack: Stack) -> None:
    backend.compact(put(backend, stack, new_fact("p")), soon())
    backend.compact(stack.created, soon())


def test_following_can_be_interrupted_and_taken_up_again(backend: Backend, stack: Stack) -> None:
    following = backend.follow(stack.created)
    revision = put(backend, stack, new_fact("p"))
    assert next(following).revision == revision
    backend.interrupt()
    with pytest.raises(Unavailable):
        next(following)
    later = put(backend, stack, new_fact("q"))
    assert [s.revision for s in steps(backend, revision, later)] == [later]


# Leases


def test_facts_on_one_lease_go_together_and_never_early(
    world: World, backend: Backend, stack: Stack
) -> None:
    ttl = 2
    granted = CLOCK.monotonic()
    lease = backend.grant(ttl, soon())
    facts = [new_fact(path, lease=lease, ttl=ttl) for path in ("a", "b/c", "z")]
    revision = put(backend, stack, *facts, new_fact("stays"))
    following = backend.follow(revision)
    step = next(following)
    assert CLOCK.monotonic() - granted >= ttl
    assert sorted(m.path for m in step.mutations if isinstance(m, DropFact)) == ["a", "b/c", "z"]
    assert len(step.mutations) == 3, "no act: nobody did it"
    assert current(backend, stack) == {"stays": "1"}
    assert not backend.renew(lease, soon())


def test_a_renewed_lease_lives_on(backend: Backend, stack: Stack) -> None:
    lease = backend.grant(2, soon())
    revision = put(backend, stack, new_fact("p", lease=lease, ttl=2))
    end = CLOCK.monotonic() + 3.5
    renewed = []

    def over() -> bool:
        renewed.append(backend.renew(lease, soon()))
        return CLOCK.monotonic() >= end

    eventually(over)
    assert all(renewed)
    assert current(backend, stack) == {"p": "1"}
    ended = CLOCK.monotonic()
    step = next(backend.follow(revision))
    assert CLOCK.monotonic() - ended >= 2 - 0.1
    assert step.mutations == (DropFact(stack.id, "p"),)


def test_revoking_a_lease_takes_what_hangs_on_it_and_nothing_that_left_it(
    backend: Backend, stack: Stack
) -> None:
    lease, other = backend.grant(60, soon()), backend.grant(60, soon())
    put(backend, stack, *(new_fact(path, lease=lease, ttl=60) for path in ("a", "b", "c")))
    put(backend, stack, new_fact("b", lease=0), new_fact("c", lease=other, ttl=60))
    backend.revoke(lease, soon())
    assert sorted(current(backend, stack)) == ["b", "c"]
    backend.revoke(lease, soon())
    backend.revoke(other, soon())
    assert sorted(current(backend, stack)) == ["b"]


def test_nothing_is_written_onto_a_lease_that_has_ended(backend: Backend, stack: Stack) -> None:
    lease = backend.grant(60, soon())
    backend.revoke(lease, soon())
    assert not backend.renew(lease, soon())
    head = backend.head(soon())
    commit = Commit(
        stack, head, expected={"p": 0}, puts=(new_fact("q"), new_fact("p", lease=lease, ttl=60))
    )
    assert backend.commit(commit, soon()) is None
    assert backend.head(soon()) == head


def test_the_end_of_an_empty_lease_is_no_step(backend: Backend, stack: Stack) -> None:
    head = backend.head(soon())
    backend.revoke(backend.grant(60, soon()), soon())
    assert backend.head(soon()) == head


# Receipts


def test_a_receipt_is_kept_with_its_write_and_makes_it_happen_once(
    backend: Backend, stack: Stack
) -> None:
    receipt = Receipt(PROJECT, f"key-{stack.id}", '{"a": "\u20ac"}')
    assert backend.receipt(PROJECT, receipt.key, soon()) is None
    revision = put(backend, stack, new_fact("p"), receipt=receipt)
    assert backend.receipt(PROJECT, receipt.key, soon()) == replace(receipt, revision=revision)
    again = Commit(stack, revision, puts=(new_fact("q"),), expected={"q": 0}, receipt=receipt)
    assert backend.commit(again, soon()) is None
    assert current(backend, stack) == {"p": "1"}
    assert backend.receipt("another", receipt.key, soon()) is None


def test_a_receipt_alone_is_a_write(backend: Backend, stack: Stack) -> None:
    receipt = Receipt(PROJECT, f"key-{stack.id}", "{}")
    head = backend.head(soon())
    revision = backend.commit(Commit(stack, head, expected={"p": 0}, receipt=receipt), soon())
    assert revision == head + 1
    assert steps(backend, head, revision) == [Step(revision, ())]


# The past


def test_facts_are_read_as_they_stood(backend: Backend, stack: Stack) -> None:
    paths = ["a/1", "a/10", "a/2", "a-b", "ab", "b"]
    for path in paths:
        put(backend, stack, new_fact(path))
    then = backend.head(soon())
    put(backend, stack, new_fact("a/1", "2"), new_fact("a/3"), deletes=("a/2", "b"))

    def at(prefix: str, after: str, limit: int) -> list[str]:
        found = backend.facts_at(stack, prefix, after, limit, then, soon())
        assert all(fact.text == "1" for fact in found)
        assert all(0 < fact.revision <= then for fact in found)
        return [fact.path for fact in found]

    assert at("", "", 99) == sorted(paths)
    assert at("", "a/10", 2) == ["a/2", "ab"]
    assert at("a", "", 99) == ["a/1", "a/10", "a/2"]
    assert at("a", "a/1", 1) == ["a/10"]
    assert at("a", "a/2", 9) == []
    assert at("a", "zzz", 9) == []
    assert at("a", "A", 9) == ["a/1", "a/10", "a/2"]
    assert at("b", "", 9) == ["b"]
    assert at("b", "b", 9) == []
    assert at("a/1", "", 9) == ["a/1"]
    assert at("nothing", "", 9) == []


def test_stacks_are_read_as_they_stood(backend: Backend, scope: Scope) -> None:
    project = f"p{scope.stack}"
    made = {name: make_stack(backend, Scope(project, name)) for name in ("a", "a-b", "a0", "b")}
    make_stack(backend, Scope(f"{project}0", "zz"))
    then = backend.head(soon())
    backend.commit(Commit(made["b"], then, drops_stack=True), soon())
    make_stack(backend, Scope(project, "c"))

    def at(after: str, limit: int) -> list[str]:
        found = backend.stacks_at(project, after, limit, then, soon())
        assert all(stack == made[stack.name] for stack in found)
        return [stack.name for stack in found]

    assert at("", 99) == ["a", "a-b", "a0", "b"]
    assert at("a", 2) == ["a-b", "a0"]
    assert at("b", 9) == []


def test_a_past_that_was_given_up_cannot_be_read(backend: Backend, stack: Stack) -> None:
    old = put(backend, stack, new_fact("p"))
    kept = put(backend, stack, new_fact("q"))
    put(backend, stack, new_fact("r"))
    backend.compact(kept, soon())
    with pytest.raises(CursorExpired):
        backend.facts_at(stack, "", "", 9, old, soon())
    with pytest.raises(CursorExpired):
        backend.stacks_at(PROJECT, "", 9, old, soon())
    assert [f.path for f in backend.facts_at(stack, "", "", 9, kept, soon())] == ["p", "q"]
