"""Following the store and reading earlier revisions, on every backend."""

from __future__ import annotations

import pytest

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.model.event import DropFact, Step
from factstore.core.model.fact import Scope, Stack
from factstore.core.ports import Backend, Transaction
from factstore.store import history_watch
from tests.contract.world import (
    PROJECT,
    make_stack,
    new_fact,
    put_all,
    soon,
    steps,
)

# Following


def test_following_begins_after_any_revision_and_misses_and_repeats_nothing(
    backend: Backend, stack: Stack
) -> None:
    first = stack.created
    made = [put_all(backend, stack, new_fact("p", str(n)), new_fact(f"q{n}")) for n in range(6)]
    whole = steps(backend, first, made[-1])
    assert [step.revision for step in whole] == made
    for n, after in enumerate([first, *made[:-1]]):
        assert steps(backend, after, made[-1]) == whole[n:]


def test_a_long_history_is_read_in_parts_and_nothing_is_missed_or_repeated(
    backend: Backend, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_watch, "PART", 3)
    made = [put_all(backend, stack, new_fact("p", str(n)), new_fact(f"q{n}")) for n in range(20)]
    following = backend.follow(stack.created)
    assert [next(following).revision for _ in made] == made
    for n in range(20, 30):  # the last of the parts is followed from here
        revision = put_all(backend, stack, new_fact("p", str(n)))
        assert next(following).revision == revision


def test_following_waits_for_the_next_revision(backend: Backend, stack: Stack) -> None:
    following = backend.follow(backend.head(soon()))
    for n in range(3):
        revision = put_all(backend, stack, new_fact("p", str(n)))
        assert next(following).revision == revision


def test_a_bumped_revision_makes_an_empty_step(backend: Backend, stack: Stack) -> None:
    revision = backend.bump_revision(soon())
    assert revision > stack.created
    assert steps(backend, stack.created, revision) == [Step(revision, ())]


def test_following_from_a_future_revision_is_refused(backend: Backend) -> None:
    with pytest.raises(CursorExpired):
        next(backend.follow(backend.head(soon()) + 1000))


def test_following_from_a_compacted_revision_is_refused(backend: Backend, stack: Stack) -> None:
    revisions = [put_all(backend, stack, new_fact("p", str(n))) for n in range(5)]
    backend.compact(revisions[2], soon())
    with pytest.raises(CursorExpired):
        next(backend.follow(revisions[1]))
    assert [s.revision for s in steps(backend, revisions[3], revisions[4])] == [revisions[4]]


def test_a_deletion_next_to_a_compaction_is_delivered_or_reported_as_lost(
    backend: Backend, stack: Stack
) -> None:
    before = put_all(backend, stack, new_fact("p"))
    deleted = put_all(backend, stack, new_fact("q"), deletes=("p",))
    last = put_all(backend, stack, new_fact("r"))
    backend.compact(deleted, soon())
    try:
        followed = steps(backend, before, last)
    except CursorExpired:
        followed = steps(backend, deleted, last)
        assert [step.revision for step in followed] == [last]
    else:
        assert DropFact(stack.id, "p") in followed[0].mutations


def test_compacting_again_is_no_error(backend: Backend, stack: Stack) -> None:
    backend.compact(put_all(backend, stack, new_fact("p")), soon())
    backend.compact(stack.created, soon())


def test_following_can_be_interrupted_and_resumed(backend: Backend, stack: Stack) -> None:
    following = backend.follow(stack.created)
    revision = put_all(backend, stack, new_fact("p"))
    assert next(following).revision == revision
    backend.interrupt()
    with pytest.raises(Unavailable):
        next(following)
    later = put_all(backend, stack, new_fact("q"))
    assert [s.revision for s in steps(backend, revision, later)] == [later]


# The past


def test_facts_are_read_at_an_earlier_revision(backend: Backend, stack: Stack) -> None:
    paths = ["a/1", "a/10", "a/2", "a-b", "ab", "b"]
    for path in paths:
        put_all(backend, stack, new_fact(path))
    then = backend.head(soon())
    put_all(backend, stack, new_fact("a/1", "2"), new_fact("a/3"), deletes=("a/2", "b"))

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


def test_stacks_are_read_at_an_earlier_revision(backend: Backend, scope: Scope) -> None:
    project = f"p{scope.stack}"
    made = {name: make_stack(backend, Scope(project, name)) for name in ("a", "a-b", "a0", "b")}
    make_stack(backend, Scope(f"{project}0", "zz"))
    then = backend.head(soon())
    backend.commit(Transaction(made["b"], then, drops_stack=True), soon())
    make_stack(backend, Scope(project, "c"))

    def at(after: str, limit: int) -> list[str]:
        found = backend.stacks_at(project, after, limit, then, soon())
        assert all(stack == made[stack.name] for stack in found)
        return [stack.name for stack in found]

    assert at("", 99) == ["a", "a-b", "a0", "b"]
    assert at("a", 2) == ["a-b", "a0"]
    assert at("b", 9) == []


def test_a_compacted_revision_cannot_be_read(backend: Backend, stack: Stack) -> None:
    old = put_all(backend, stack, new_fact("p"))
    kept = put_all(backend, stack, new_fact("q"))
    put_all(backend, stack, new_fact("r"))
    backend.compact(kept, soon())
    with pytest.raises(CursorExpired):
        backend.facts_at(stack, "", "", 9, old, soon())
    with pytest.raises(CursorExpired):
        backend.stacks_at(PROJECT, "", 9, old, soon())
    assert [f.path for f in backend.facts_at(stack, "", "", 9, kept, soon())] == ["p", "q"]
