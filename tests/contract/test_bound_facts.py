"""Facts bound to a member, and writes that only the present incarnation may make."""

from __future__ import annotations

import pytest

from factstore.core.errors import (
    Conflict,
    NotFound,
)
from factstore.core.model.fact import Scope
from tests.contract.membership import changes_since, join, refusal
from tests.contract.world import Worker, World, author, soon

# Facts bound to a member


def test_a_bound_fact_names_its_member_and_equal_puts_change_nothing(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    first = worker.put(scope, "p", 1, member="c1")
    assert worker.facts.get(scope, "p").fact.member == "c1"
    again = worker.put(scope, "p", 1, member="c1")
    assert [r.outcome for r in (*first.results, *again.results)] == ["created", "unchanged"]
    assert again.results[0].fact == first.results[0].fact


def test_a_fact_is_bound_to_a_living_member_only(worker: Worker, scope: Scope) -> None:
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p", 1, member="c1")
    assert refusal(refused) == "member_missing"
    with pytest.raises(NotFound):
        worker.stacks.get(scope)
    join(worker, scope)
    worker.members.depart(scope, "c1", "left", None, author())
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p", 1, member="c1")
    assert refusal(refused) == "member_missing"


def test_a_put_without_the_member_unbinds_the_fact(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    worker.put(scope, "stays", 1, member="c1")
    worker.put(scope, "goes", 1, member="c1")
    unbound = worker.put(scope, "stays", 1)
    assert [r.outcome for r in unbound.results] == ["updated"]
    worker.members.depart(scope, "c1", "left", None, author())
    worker.store.refresh(soon())
    assert worker.paths(scope) == ["stays"]
    assert worker.facts.get(scope, "stays").fact.member is None


def test_a_fact_is_bound_to_the_new_incarnation_when_that_puts_it(
    worker: Worker, scope: Scope
) -> None:
    """The put is not equal: the fact would be deleted with the wrong incarnation."""
    join(worker, scope, "c1")
    join(worker, scope, "c2")
    worker.put(scope, "p", 1, member="c1")
    moved = worker.put(scope, "p", 1, member="c2")
    assert [r.outcome for r in moved.results] == ["updated"]
    worker.members.depart(scope, "c1", "left", None, author())
    worker.store.refresh(soon())
    assert worker.facts.get(scope, "p").fact.member == "c2"
    worker.members.depart(scope, "c2", "left", None, author())
    worker.store.refresh(soon())
    assert worker.paths(scope) == []


def test_a_fact_moves_from_a_ttl_to_a_member_and_back(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    worker.put(scope, "p", 1, ttl=3600)
    worker.put(scope, "p", 1, member="c1")
    bound = worker.facts.get(scope, "p").fact
    assert (bound.ttl, bound.member) == (None, "c1")
    worker.put(scope, "p", 1, ttl=3600)
    worker.members.depart(scope, "c1", "left", None, author())
    worker.store.refresh(soon())
    assert (worker.facts.get(scope, "p").fact.ttl, worker.facts.get(scope, "p").fact.member) == (
        3600,
        None,
    )


def test_the_number_of_facts_bound_to_a_member_is_limited(worker: Worker, scope: Scope) -> None:
    joined = join(worker, scope)
    for start in range(0, 500, 100):
        paths = [f"p{n}" for n in range(start, start + 100)]
        worker.batch(scope, paths, member="c1")
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "more", 1, member="c1")
    assert refusal(refused) == "member_full"
    worker.put(scope, "p0", 2, member="c1")  # already one of the bound facts
    worker.put(scope, "p0", 2)
    worker.put(scope, "more", 1, member="c1")
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p0", 2, member="c1")
    assert refusal(refused) == "member_full"
    departed = worker.members.depart(scope, "c1", "left", joined.member.generation, author())
    worker.store.refresh(soon())
    (changes,) = changes_since(worker, scope, departed.revision)
    assert len(changes) == 500
    assert worker.paths(scope) == ["p0"]


def test_a_batch_that_exceeds_the_limit_of_a_member_is_refused_whole(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    for start in range(0, 450, 90):
        worker.batch(scope, [f"p{n}" for n in range(start, start + 90)], member="c1")
    with pytest.raises(Conflict) as refused:
        worker.batch(scope, [f"q{n}" for n in range(51)], member="c1")
    assert refusal(refused) == "member_full"
    worker.batch(scope, [f"q{n}" for n in range(50)], member="c1")


# Fencing


def test_a_fenced_write_is_refused_once_another_incarnation_has_the_name(
    worker: Worker, scope: Scope
) -> None:
    old = join(worker, scope).member.generation
    worker.put(scope, "p", 1, member="c1", generation=old)
    worker.put(scope, "q", 1, fences=[old])
    new = join(worker, scope).member.generation
    for late in (
        lambda: worker.put(scope, "p", 2, member="c1", generation=old),
        lambda: worker.put(scope, "p", 2, generation=old),
        lambda: worker.put(scope, "q", 1, fences=[old]),  # refused although it changes nothing
        lambda: worker.delete(scope, "q", fences=[old]),
        lambda: worker.batch(scope, ["p", "q"], fences=[old]),
    ):
        with pytest.raises(Conflict) as refused:
            late()
        assert refusal(refused) == "generation_stale"
    assert worker.value(scope, "q") == "1"
    worker.put(scope, "p", 2, member="c1", generation=new)
    worker.delete(scope, "q", fences=[new])


def test_a_generation_in_a_put_is_that_of_its_member(worker: Worker, scope: Scope) -> None:
    first, second = (join(worker, scope, name).member.generation for name in ("c1", "c2"))
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p", 1, member="c1", generation=second)
    assert refusal(refused) == "generation_stale"
    worker.put(scope, "p", 1, member="c1", generation=first)
    worker.put(scope, "p", 2, member="c2", fences=[first])


@pytest.mark.parametrize("what", ["put", "equal put", "delete", "batch", "bound", "state"])
def test_a_fence_is_compared_when_the_write_is_confirmed(
    world: World, worker: Worker, scope: Scope, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is planned on a state that does not contain the new incarnation yet."""
    old = join(worker, scope).member.generation
    worker.put(scope, "p", 1)
    stale, other = worker.store.state(), world.worker()
    planned: list[int] = []
    confirms = "refresh" if what == "equal put" else "commit"
    real = getattr(worker.store, confirms)

    def confirm(*args: object) -> object:
        if not planned:
            planned.append(stale.revision)
            join(other, scope)
        return real(*args)

    monkeypatch.setattr(worker.store, confirms, confirm)
    writes = {
        "put": lambda: worker.put(scope, "p", 2, fences=[old]),
        "equal put": lambda: worker.put(scope, "p", 1, fences=[old]),
        "delete": lambda: worker.delete(scope, "p", fences=[old]),
        "batch": lambda: worker.batch(scope, ["a", "b"], fences=[old]),
        "bound": lambda: worker.put(scope, "p", 1, member="c1", generation=old),
        "state": lambda: worker.members.set_state(scope, "c1", "ready", old, author()),
    }
    with pytest.raises(Conflict) as refused:
        writes[what]()
    assert refusal(refused) == "generation_stale"
    assert planned
    assert other.paths(scope) == ["p"]
    assert other.value(scope, "p") == "1"
    assert other.members.get(scope, "c1").state == "joining"


def test_a_fact_is_never_bound_to_a_member_that_departed_meanwhile(
    world: World, worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(worker, scope)
    other, real, left = world.worker(), worker.store.commit, []

    def commit(*args: object) -> object:
        if not left:
            left.append(other.members.depart(scope, "c1", "left", None, author()))
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.store, "commit", commit)
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p", 1, member="c1")
    assert refusal(refused) == "member_missing"
    assert left
    assert other.paths(scope) == []
