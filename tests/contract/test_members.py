"""Members, as their service promises them over every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.cursor import Cursor
from factstore.core.errors import (
    Conflict,
    CursorExpired,
    FactstoreError,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from factstore.core.event import Change
from factstore.core.fact import Scope
from factstore.core.member import Joining, Member
from factstore.core.members import Joined
from factstore.core.quota import Quota
from factstore.core.watching import Filter
from tests.contract.world import PROJECT, Worker, World, author, events_since, new_scope, soon


def join(
    worker: Worker,
    scope: Scope,
    name: str = "c1",
    group: str = "compute",
    ttl: int | None = 600,
    by: str = "alice",
    generation: str | None = None,
    **attributes: object,
) -> Joined:
    wish = Joining.of(group, ttl, attributes, generation)
    return worker.members.join(scope, name, wish, author(by))


def changes_since(worker: Worker, scope: Scope, revision: int) -> list[tuple[Change, ...]]:
    """The changes of each event after a revision."""
    count = len(events_since(worker, scope, revision))
    found = worker.watching.poll(scope, worker.facts.cursor(revision), 0, Filter())
    return [event.changes for event in found.events[:count]]


def told(worker: Worker, scope: Scope, revision: int) -> list[list[str]]:
    """The types of what each event changed, with the names of members."""
    found = []
    for changes in changes_since(worker, scope, revision):
        lines = []
        for change in changes:
            member = change.record or change.former
            lines.append(f"{change.type} {member.name if member else change.path}")
        found.append(lines)
    return found


def names(worker: Worker, scope: Scope, **options: object) -> list[str]:
    page = worker.members.list(scope, limit=1000, **options)  # type: ignore[arg-type]
    return [member.name for member in page.members]


def refusal(error: pytest.ExceptionInfo[FactstoreError]) -> str:
    return error.value.code


# Joining


def test_who_joins_is_shown_with_all_that_is_known_of_it(worker: Worker, scope: Scope) -> None:
    joined = join(worker, scope, "c1", ttl=60, by="bob", rack="r1", cores=8)
    member = worker.members.get(scope, "c1")
    assert member == joined.member
    assert joined.outcome == "created"
    assert (member.name, member.group, member.state, member.ttl) == (
        *("c1", "compute", "joining"),
        60,
    )
    assert member.attributes == '{"cores":8,"rack":"r1"}'
    assert (member.version, member.revision, member.updated_by) == (1, joined.revision, "bob")
    assert int(member.generation, 16) > 0
    assert member.joined_at == member.updated_at
    assert worker.stacks.get(scope)[1].facts == 1


def test_joining_is_told_once_with_the_member_and_nothing_before(
    worker: Worker, scope: Scope
) -> None:
    start = worker.put(scope, "p").revision
    joined = join(worker, scope)
    ((change,),) = changes_since(worker, scope, start)
    assert (change.type, change.path, change.fact, change.previous) == (
        *("member.join", None),
        *(None, None),
    )
    assert (change.record, change.former, change.reason) == (joined.member, None, None)
    assert change.by == "alice"


def test_joining_again_with_the_generation_and_nothing_new_makes_no_revision(
    worker: Worker, scope: Scope
) -> None:
    first = join(worker, scope, rack="r1")
    head = worker.backend.head(soon())
    again = join(worker, scope, generation=first.member.generation, rack="r1")
    assert (again.outcome, again.member) == ("unchanged", first.member)
    assert worker.backend.head(soon()) == head
    assert told(worker, scope, first.revision) == []


def test_a_member_changes_what_it_says_under_its_generation(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope, rack="r1")
    worker.members.set_state(scope, "c1", "ready", None, author())
    generation = first.member.generation
    second = join(worker, scope, group="gpu", by="bob", generation=generation, rack="r2")
    assert second.outcome == "updated"
    member = worker.members.get(scope, "c1")
    assert member == second.member
    assert (member.group, member.attributes, member.state) == ("gpu", '{"rack":"r2"}', "ready")
    assert (member.version, member.generation) == (3, generation)
    assert (member.joined_at, member.updated_by) == (first.member.joined_at, "bob")
    assert told(worker, scope, first.revision) == [["member.change c1"]] * 2


def test_a_generation_has_the_ttl_that_it_was_joined_with(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope, ttl=600)
    with pytest.raises(Conflict) as refused:
        join(worker, scope, ttl=60, generation=first.member.generation)
    assert refusal(refused) == "member_ttl_fixed"
    assert worker.members.get(scope, "c1") == first.member
    again = join(worker, scope, ttl=None, generation=first.member.generation)
    assert (again.outcome, again.member) == ("unchanged", first.member)
    assert join(worker, scope, "c2", ttl=None).member.ttl == 30


def test_a_new_incarnation_takes_over_the_name_and_fences_the_old_one(
    worker: Worker, scope: Scope
) -> None:
    old = join(worker, scope)
    worker.members.set_state(scope, "c1", "ready", None, author())
    new = join(worker, scope)
    assert new.outcome == "replaced"
    assert new.member.generation != old.member.generation
    assert (new.member.state, new.member.version) == ("joining", 1)
    for late in (
        lambda: join(worker, scope, generation=old.member.generation),
        lambda: worker.members.set_state(scope, "c1", "draining", old.member.generation, author()),
        lambda: worker.members.heartbeat(scope, "c1", old.member.generation, None),
        lambda: worker.members.depart(scope, "c1", "left", old.member.generation, author()),
    ):
        with pytest.raises(Conflict) as refused:
            late()
        assert refusal(refused) == "generation_stale"
    assert worker.members.get(scope, "c1") == new.member


def test_the_facts_of_a_replaced_incarnation_go_with_it(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    bound = worker.put(scope, "nodes/c1/ip", "10.0.0.6", member="c1")
    worker.put(scope, "nodes/c2/ip", "10.0.0.7")
    new = join(worker, scope)
    worker.store.refresh(soon())
    assert worker.paths(scope) == ["nodes/c2/ip"]
    assert told(worker, scope, bound.revision + 1) == [
        ["member.join c1"],
        ["fact.expire nodes/c1/ip"],
    ]
    assert worker.members.get(scope, "c1") == new.member


def test_a_generation_that_never_lived_is_stale(worker: Worker, scope: Scope) -> None:
    for generation in ("0", "abc", "f" * 16):
        with pytest.raises(Conflict) as refused:
            join(worker, scope, generation=generation)
        assert refusal(refused) == "generation_stale"
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


def test_of_many_who_join_under_one_name_one_lives(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    joined = list(threads.map(lambda n: join((worker, other)[n % 2], scope, n=n), range(16)))
    last = max(joined, key=lambda each: each.revision)
    for each in (worker, other):
        assert each.members.get(scope, "c1") == last.member
        assert names(each, scope) == ["c1"]
    assert sum(each.outcome == "created" for each in joined) == 1
    assert worker.stacks.get(scope)[1].facts == 1


def test_names_groups_and_limits_are_checked(worker: Worker, scope: Scope) -> None:
    for name, group in (("..", "g"), ("c1", "a/b"), ("", "g"), ("c1", "")):
        with pytest.raises(Invalid) as refused:
            join(worker, scope, name, group)
        assert refusal(refused) == "path_invalid"


# How a member is


def test_a_state_is_told_once(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    ready = worker.members.set_state(scope, "c1", "ready", first.member.generation, author("bob"))
    head = worker.backend.head(soon())
    assert worker.members.set_state(scope, "c1", "ready", None, author()) == ready
    assert worker.backend.head(soon()) == head
    ((change,),) = changes_since(worker, scope, first.revision)
    assert (change.type, change.record, change.former) == ("member.change", ready, first.member)
    assert change.by == ready.updated_by == "bob"
    assert worker.members.get(scope, "c1") == ready


def test_only_living_members_have_a_state(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "p")
    with pytest.raises(NotFound):
        worker.members.set_state(scope, "c1", "ready", None, author())
    with pytest.raises(NotFound):
        worker.members.heartbeat(scope, "c1", None, None)
    with pytest.raises(NotFound):
        worker.members.depart(scope, "c1", "left", None, author())


# Facts that go with a member


def test_a_bound_fact_names_its_member_and_equal_puts_change_nothing(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    first = worker.put(scope, "p", 1, member="c1")
    assert worker.facts.get(scope, "p").member == "c1"
    again = worker.put(scope, "p", 1, member="c1")
    assert [r.outcome for r in (*first.results, *again.results)] == ["created", "unchanged"]
    assert again.results[0].fact == first.results[0].fact


def test_a_fact_goes_with_a_member_that_lives_or_not_at_all(worker: Worker, scope: Scope) -> None:
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


def test_a_put_without_the_member_lets_a_fact_stay(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    worker.put(scope, "stays", 1, member="c1")
    worker.put(scope, "goes", 1, member="c1")
    unbound = worker.put(scope, "stays", 1)
    assert [r.outcome for r in unbound.results] == ["updated"]
    worker.members.depart(scope, "c1", "left", None, author())
    worker.store.refresh(soon())
    assert worker.paths(scope) == ["stays"]
    assert worker.facts.get(scope, "stays").member is None


def test_a_fact_is_bound_to_the_new_incarnation_when_that_puts_it(
    worker: Worker, scope: Scope
) -> None:
    """It is no equal put: it would go with the wrong one."""
    join(worker, scope, "c1")
    join(worker, scope, "c2")
    worker.put(scope, "p", 1, member="c1")
    moved = worker.put(scope, "p", 1, member="c2")
    assert [r.outcome for r in moved.results] == ["updated"]
    worker.members.depart(scope, "c1", "left", None, author())
    worker.store.refresh(soon())
    assert worker.facts.get(scope, "p").member == "c2"
    worker.members.depart(scope, "c2", "left", None, author())
    worker.store.refresh(soon())
    assert worker.paths(scope) == []


def test_a_fact_goes_from_a_ttl_to_a_member_and_back(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    worker.put(scope, "p", 1, ttl=3600)
    worker.put(scope, "p", 1, member="c1")
    bound = worker.facts.get(scope, "p")
    assert (bound.ttl, bound.member) == (None, "c1")
    worker.put(scope, "p", 1, ttl=3600)
    worker.members.depart(scope, "c1", "left", None, author())
    worker.store.refresh(soon())
    assert (worker.facts.get(scope, "p").ttl, worker.facts.get(scope, "p").member) == (3600, None)


def test_so_many_facts_go_with_a_member_and_no_more(worker: Worker, scope: Scope) -> None:
    joined = join(worker, scope)
    for start in range(0, 500, 100):
        paths = [f"p{n}" for n in range(start, start + 100)]
        worker.batch(scope, paths, member="c1")
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "more", 1, member="c1")
    assert refusal(refused) == "member_full"
    worker.put(scope, "p0", 2, member="c1")  # was one of them
    worker.put(scope, "p0", 2)
    worker.put(scope, "more", 1, member="c1")
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p0", 2, member="c1")
    assert refusal(refused) == "member_full"
    departed = worker.members.depart(scope, "c1", "left", joined.member.generation, author())
    worker.store.refresh(soon())
    (changes,) = changes_since(worker, scope, departed)
    assert len(changes) == 500
    assert worker.paths(scope) == ["p0"]


def test_a_batch_that_would_be_too_much_for_a_member_is_refused_whole(
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


def test_a_fenced_write_is_refused_once_another_took_the_name(worker: Worker, scope: Scope) -> None:
    old = join(worker, scope).member.generation
    worker.put(scope, "p", 1, member="c1", generation=old)
    worker.put(scope, "q", 1, fences=[old])
    new = join(worker, scope).member.generation
    for late in (
        lambda: worker.put(scope, "p", 2, member="c1", generation=old),
        lambda: worker.put(scope, "p", 2, generation=old),
        lambda: worker.put(scope, "q", 1, fences=[old]),  # equal, and refused all the same
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
def test_a_fence_holds_in_the_same_transaction(
    world: World, worker: Worker, scope: Scope, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is planned on a state that does not know yet of the new incarnation."""
    old = join(worker, scope).member.generation
    worker.put(scope, "p", 1)
    stale, other = worker.store.state(), world.worker()
    planned: list[int] = []
    real = worker.store.commit

    def commit(*args: object) -> object:
        if not planned:
            planned.append(stale.revision)
            join(other, scope)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.store, "commit", commit)
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


def test_a_fact_never_hangs_on_a_member_that_went_meanwhile(
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


# Departing and expiring


def test_departing_is_told_with_its_reason_and_then_the_facts_go_in_one_revision(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    worker.put(scope, "nodes/c1/a", 1, member="c1")
    known = worker.put(scope, "nodes/c1/b", 2, member="c1")
    member = worker.members.get(scope, "c1")
    departed = worker.members.depart(scope, "c1", "scaled_in", member.generation, author("bob"))
    worker.store.refresh(soon())
    (change,), gone = changes_since(worker, scope, known.revision)
    assert (change.type, change.reason, change.former) == ("member.depart", "scaled_in", member)
    assert isinstance(change.record, Member)
    assert (change.record.state, change.record.revision) == ("departed", departed)
    assert {(c.type, c.path) for c in gone} == {
        ("fact.expire", "nodes/c1/a"),
        ("fact.expire", "nodes/c1/b"),
    }
    assert {(c.by, c.request_id) for c in gone} == {(change.by, change.request_id)}
    assert change.by == "bob"


def test_a_departed_member_is_shown_to_nobody_and_its_name_is_free(
    world: World, worker: Worker, scope: Scope
) -> None:
    first = join(worker, scope)
    worker.members.depart(scope, "c1", "left", None, author())
    for each in (worker, world.worker()):
        with pytest.raises(NotFound):
            each.members.get(scope, "c1")
        assert names(each, scope) == []
    again = join(worker, scope)
    assert again.outcome == "created"
    assert again.member.generation != first.member.generation
    assert worker.stacks.get(scope)[1].facts == 1


# The shortest ttl takes five seconds, so one test looks at all that goes by itself


def test_silence_takes_a_member_and_its_facts_in_one_revision(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    kept = join(worker, scope, "kept", ttl=5)
    join(worker, scope, "lost", ttl=5)
    worker.put(scope, "nodes/kept/ip", 1, member="kept")
    worker.put(scope, "nodes/lost/ip", 2, member="lost")
    last = worker.members.set_state(scope, "lost", "ready", None, author())
    worker.members.heartbeat(scope, "lost", None, worker.facts.cursor(last.revision))
    cursor = worker.facts.cursor(worker.store.refresh(soon()).revision)
    expiring = threads.submit(worker.watching.poll, scope, cursor, 30, Filter())
    while not expiring.done():
        worker.members.heartbeat(scope, "kept", kept.member.generation, None)
    (event,) = expiring.result(10).events
    assert [(c.type, c.path, c.by) for c in event.changes] == [
        ("fact.expire", "nodes/lost/ip", None),
        ("member.expire", None, None),
    ]
    assert (event.changes[1].record, event.changes[1].former) == (None, last)
    assert event.changes[1].reason == "expired"
    assert event.changes[0].previous is not None
    assert worker.paths(scope) == ["nodes/kept/ip"]
    assert names(worker, scope) == ["kept"]
    assert worker.members.get(scope, "kept") == kept.member
    with pytest.raises(NotFound):
        worker.members.heartbeat(scope, "lost", None, None)
    with pytest.raises(Conflict):
        worker.members.heartbeat(scope, "lost", last.generation, None)


# Heartbeats and what was applied


def test_a_heartbeat_makes_no_revision_and_wakes_nobody(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    first = join(worker, scope)
    head = worker.backend.head(soon())
    reading = worker.waiting(
        threads, worker.contexts.get, scope, wait=30, unless={worker.contexts.get(scope).etag}
    )
    for _ in range(10):
        worker.members.heartbeat(scope, "c1", first.member.generation, None)
        worker.members.heartbeat(scope, "c1", None, None)
    assert worker.backend.head(soon()) == head
    assert not reading.done()
    worker.put(scope, "p")
    reading.result(10)


def applied(worker: Worker, scope: Scope, name: str = "c1") -> int | None:
    worker.store.refresh(soon())
    (found,) = [f for f in worker.convergences.get(scope).followers if f.member.name == name]
    return found.applied.revision if found.applied else None


def test_what_a_member_applied_is_stored_when_it_matters_and_told_to_nobody(
    world: World, worker: Worker, scope: Scope
) -> None:
    first = join(worker, scope)
    target = worker.put(scope, "p", 1).revision
    assert applied(worker, scope) is None
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(first.revision))
    assert applied(worker, scope) == first.revision
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(target))
    assert applied(worker, scope) == target
    head = worker.backend.head(soon())
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(target))
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(head))  # nothing happened since
    assert worker.backend.head(soon()) == head
    assert applied(world.worker(), scope) == target
    assert told(worker, scope, target) == []
    assert worker.members.get(scope, "c1") == first.member
    assert worker.stacks.get(scope)[1].facts == 2


def test_what_was_applied_never_goes_back(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    target = worker.put(scope, "p", 1).revision
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(target))
    worker.put(scope, "p", 2)
    head = worker.backend.head(soon())
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(first.revision))
    assert applied(worker, scope) == target
    assert worker.backend.head(soon()) == head


def test_a_new_incarnation_has_applied_nothing(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(first.revision))
    assert applied(worker, scope) == first.revision
    join(worker, scope)
    assert applied(worker, scope) is None


def test_nor_has_it_while_the_end_of_the_old_one_is_yet_to_come(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoke(lease: int, deadline: float) -> None:
        raise Unavailable("not now")

    first = join(worker, scope)
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(first.revision))
    monkeypatch.setattr(worker.store, "revoke", revoke)
    join(worker, scope)
    assert applied(worker, scope) is None


def test_of_two_signs_of_life_at_once_the_one_that_applied_more_counts(
    world: World, worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = join(worker, scope)
    target = worker.put(scope, "p", 1).revision
    other, real, done = world.worker(), worker.store.commit, []

    def commit(*args: object) -> object:
        if not done:
            done.append(target)
            other.members.heartbeat(scope, "c1", None, worker.facts.cursor(target))
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.store, "commit", commit)
    worker.members.heartbeat(scope, "c1", None, worker.facts.cursor(first.revision))
    assert done
    assert applied(worker, scope) == applied(other, scope) == target


def test_a_cursor_of_another_life_or_ahead_of_the_store_keeps_the_member_alive_but_is_refused(
    worker: Worker, scope: Scope
) -> None:
    first = join(worker, scope)
    epoch, head = worker.facts.cursor(worker.backend.head(soon()))
    for cursor in (Cursor("0" * 16, first.revision), Cursor(epoch, head + 1000)):
        with pytest.raises(CursorExpired):
            worker.members.heartbeat(scope, "c1", None, cursor)
    assert applied(worker, scope) is None


# Convergence


def test_a_stack_has_converged_when_every_member_applied_what_it_is(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "p", 1)
    assert not worker.convergences.get(scope).reached  # nobody is there
    join(worker, scope, "c1")
    joined = join(worker, scope, "h1", "head")
    target = worker.facts.cursor(joined.revision)
    for name in ("c1", "h1"):
        found = worker.convergences.get(scope)
        assert found.target == target
        assert not found.reached
        worker.members.heartbeat(scope, name, None, target)
    assert worker.convergences.get(scope).reached
    worker.put(scope, "results/c1/install", "done")
    assert worker.convergences.get(scope).target == target
    worker.delete(scope, "p")
    found = worker.convergences.get(scope)
    assert found.target.revision > target.revision
    assert [f.member.name for f in found.followers if f.lags] == ["c1", "h1"]
    worker.members.heartbeat(scope, "h1", None, found.target)
    assert worker.convergences.get(scope, group="head").reached
    assert not worker.convergences.get(scope, group="nobody").reached


def test_a_reader_waits_until_the_stack_has_converged(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope, "c1")
    joined = join(worker, scope, "c2")
    other = world.worker()
    waiting = threads.submit(worker.convergences.get, scope, wait=30)
    for each, name in ((worker, "c1"), (other, "c2")):
        assert not waiting.done()
        each.members.heartbeat(scope, name, None, worker.facts.cursor(joined.revision))
    assert waiting.result(10).reached


def test_who_lagged_and_departs_lags_no_more(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope, "c1")
    join(worker, scope, "c2")
    waiting = threads.submit(worker.convergences.get, scope, wait=30)
    worker.members.depart(scope, "c2", "left", None, author())
    target = worker.convergences.get(scope).target
    worker.members.heartbeat(scope, "c1", None, target)
    found = waiting.result(10)
    assert found.reached
    assert [f.member.name for f in found.followers] == ["c1"]


# Lists


def test_pages_show_the_members_of_one_revision(worker: Worker, scope: Scope) -> None:
    for n in range(5):
        join(worker, scope, f"c{n}", "odd" if n % 2 else "even")
    first = worker.members.list(scope, limit=2)
    assert [m.name for m in first.members] == ["c0", "c1"]
    assert first.marker == "c1"
    worker.members.depart(scope, "c3", "left", None, author())
    join(worker, scope, "c25")
    rest = worker.members.list(scope, limit=10, marker="c1", at=first.cursor)
    assert [m.name for m in rest.members] == ["c2", "c3", "c4"]
    assert (rest.cursor, rest.marker) == (first.cursor, None)
    assert names(worker, scope) == ["c0", "c1", "c2", "c25", "c4"]
    assert names(worker, scope, group="odd") == ["c1"]
    with pytest.raises(CursorExpired):
        worker.members.list(scope, limit=1, at=Cursor("0" * 16, first.cursor.revision))


def test_a_stack_that_is_missing_has_no_list_of_members(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        names(worker, scope)


# What ends a stack, and what bounds it


def test_a_deleted_stack_has_no_members_and_a_new_one_of_its_name_shares_none(
    worker: Worker, scope: Scope
) -> None:
    old = join(worker, scope).member
    worker.put(scope, "p", 1, member="c1")
    worker.stacks.delete(scope, author())
    worker.put(scope, "q")
    assert names(worker, scope) == []
    for late in (
        lambda: worker.members.heartbeat(scope, "c1", old.generation, None),
        lambda: worker.put(scope, "p", 1, member="c1", generation=old.generation),
    ):
        with pytest.raises(Conflict) as refused:
            late()
        assert refusal(refused) == "generation_stale"


@pytest.mark.parametrize("quota", [Quota(facts=3), Quota(facts_per_stack=3)])
def test_members_count_as_facts_of_the_quota(world: World, quota: Quota) -> None:
    worker, scope = world.worker(quota=quota), Scope(PROJECT, new_scope().stack)
    join(worker, scope, "c1")
    worker.put(scope, "p", 1)
    join(worker, scope, "c2")
    for more in (lambda: join(worker, scope, "c3"), lambda: worker.put(scope, "q", 1)):
        with pytest.raises(Forbidden) as refused:
            more()
        assert refusal(refused) == "quota_exceeded"
    join(worker, scope, "c2")  # a new incarnation takes no more room
    worker.members.depart(scope, "c2", "left", None, author())
    worker.store.refresh(soon())
    join(worker, scope, "c3")


def test_what_a_member_says_counts_as_bytes(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(bytes_per_stack=1000))
    first = join(worker, scope, text="x" * 400)
    with pytest.raises(Forbidden):
        join(worker, scope, "c2", text="x" * 800)
    with pytest.raises(Forbidden):
        join(worker, scope, generation=first.member.generation, text="x" * 1200)
    assert worker.stacks.get(scope)[1].bytes == first.member.size
