"""The members service, on every backend."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from factstore.core.errors import (
    Conflict,
    CursorExpired,
    Forbidden,
    Invalid,
    NotFound,
)
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.member import Member
from factstore.core.model.pulse import is_monitored, pulse_lease
from factstore.core.model.quota import Quota
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.watch_filter import Filter
from tests.contract.membership import (
    changes_by_event,
    changes_since,
    declare,
    join,
    names,
    refusal,
)
from tests.contract.world import PROJECT, RENEWAL_SECONDS, Worker, World, author, new_scope, soon
from tests.eventually import eventually

# Joining


def test_a_joined_member_is_shown_with_all_its_fields(worker: Worker, scope: Scope) -> None:
    joined = join(worker, scope, "c1", ttl=60, by="bob", rack="r1", cores=8)
    member = worker.members.get(scope, "c1")
    assert member == joined.member
    assert joined.outcome == "created"
    assert (member.name, member.group, member.state, member.ttl) == (
        *("c1", "compute", "joining"),
        60,
    )
    assert member.attributes == '{"cores":8,"rack":"r1"}'
    assert (member.version, member.revision, member.updated_by) == (
        1,
        joined.cursor.revision,
        "bob",
    )
    assert int(member.generation, 16) > 0
    assert member.joined_at == member.updated_at
    assert worker.stacks.get(scope).usage.facts == 1


def test_joining_is_one_event_with_the_member_and_without_a_previous_one(
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
    assert changes_by_event(worker, scope, first.cursor.revision) == []


def test_a_member_updates_itself_under_its_generation(worker: Worker, scope: Scope) -> None:
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
    assert changes_by_event(worker, scope, first.cursor.revision) == [["member.change c1"]] * 2


def test_a_generation_has_the_ttl_that_it_was_joined_with(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope, ttl=600)
    with pytest.raises(Conflict) as refused:
        join(worker, scope, ttl=60, generation=first.member.generation)
    assert refusal(refused) == "member_ttl_fixed"
    assert worker.members.get(scope, "c1") == first.member
    again = join(worker, scope, ttl=None, generation=first.member.generation)
    assert (again.outcome, again.member) == ("unchanged", first.member)
    assert join(worker, scope, "c2", ttl=None).member.ttl == 30


KEY, CONTENT = "5e" * 32, "a7" * 32


def test_a_repeated_join_is_the_same_incarnation_on_every_worker(
    world: World, worker: Worker, scope: Scope
) -> None:
    key, other = Idempotency(KEY, CONTENT), world.worker()
    first = join(worker, scope, key=key)
    worker.put(scope, "nodes/c1/ip", member="c1")
    worker.members.set_state(scope, "c1", "ready", None, author())
    current = worker.members.get(scope, "c1")
    for each in (worker, other):
        again = join(each, scope, key=key)
        assert (again.outcome, again.member) == ("unchanged", current)
    assert current.generation == first.member.generation
    assert changes_by_event(worker, scope, current.revision) == []
    with pytest.raises(Conflict) as refused:
        join(worker, scope, key=Idempotency(KEY, "b8" * 32))
    assert refusal(refused) == "idempotency_key_reused"
    assert join(worker, scope, key=Idempotency("6f" * 32, CONTENT)).outcome == "replaced"
    assert join(worker, scope).outcome == "replaced"


def test_a_join_is_a_new_one_after_its_incarnation_has_ended(worker: Worker, scope: Scope) -> None:
    key = Idempotency(KEY, CONTENT)
    first = join(worker, scope, key=key)
    worker.members.depart(scope, "c1", "left", None, author())
    again = join(worker, scope, key=key)
    assert again.outcome == "created"
    assert again.member.generation != first.member.generation


def test_a_repeated_adoption_is_the_same_incarnation(worker: Worker, scope: Scope) -> None:
    declare(worker, scope)
    key = Idempotency(KEY, CONTENT)
    first = join(worker, scope, key=key)
    again = join(worker, scope, key=key)
    assert (first.outcome, again.outcome) == ("adopted", "unchanged")
    assert again.member == first.member


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


def test_the_facts_of_a_replaced_incarnation_are_deleted_with_it(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope)
    bound = worker.put(scope, "nodes/c1/ip", "10.0.0.6", member="c1")
    worker.put(scope, "nodes/c2/ip", "10.0.0.7")
    new = join(worker, scope)
    worker.store.refresh(soon())
    assert worker.paths(scope) == ["nodes/c2/ip"]
    assert changes_by_event(worker, scope, bound.revision + 1) == [
        ["member.join c1"],
        ["fact.expire nodes/c1/ip"],
    ]
    assert worker.members.get(scope, "c1") == new.member


def test_a_generation_that_never_existed_is_stale(worker: Worker, scope: Scope) -> None:
    for generation in ("0", "abc", "f" * 16):
        with pytest.raises(Conflict) as refused:
            join(worker, scope, generation=generation)
        assert refusal(refused) == "generation_stale"
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


def test_many_joins_under_one_name_leave_one_living_member(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    joined = list(threads.map(lambda n: join((worker, other)[n % 2], scope, n=n), range(16)))
    last = max(joined, key=lambda each: each.cursor)
    for each in (worker, other):
        assert each.members.get(scope, "c1") == last.member
        assert names(each, scope) == ["c1"]
    assert sum(each.outcome == "created" for each in joined) == 1
    assert worker.stacks.get(scope).usage.facts == 1


def test_names_groups_and_limits_are_checked(worker: Worker, scope: Scope) -> None:
    for name, group in (("..", "g"), ("c1", "a/b"), ("", "g"), ("c1", "")):
        with pytest.raises(Invalid) as refused:
            join(worker, scope, name, group)
        assert refusal(refused) == "path_invalid"


# Member states


def test_a_change_of_state_is_one_event(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    generation = first.member.generation
    ready = worker.members.set_state(scope, "c1", "ready", generation, author("bob")).member
    head = worker.backend.head(soon())
    assert worker.members.set_state(scope, "c1", "ready", None, author()).member == ready
    assert worker.backend.head(soon()) == head
    ((change,),) = changes_since(worker, scope, first.cursor.revision)
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


# Departing and expiring


def test_a_departure_is_an_event_with_its_reason_and_deletes_the_facts_in_one_revision(
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
    assert (change.record.state, change.record.revision) == ("departed", departed.revision)
    assert {(c.type, c.path) for c in gone} == {
        ("fact.expire", "nodes/c1/a"),
        ("fact.expire", "nodes/c1/b"),
    }
    assert {(c.by, c.request_id) for c in gone} == {(change.by, change.request_id)}
    assert change.by == "bob"


def test_a_departed_member_is_not_shown_and_its_name_is_free(
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
    assert worker.stacks.get(scope).usage.facts == 1


# The shortest TTL is five seconds, so a single test covers every expiry


def test_a_silent_member_and_its_facts_expire_in_one_revision(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    kept = join(worker, scope, "kept", ttl=5)
    join(worker, scope, "lost", ttl=5)
    worker.put(scope, "nodes/kept/ip", 1, member="kept")
    worker.put(scope, "nodes/lost/ip", 2, member="lost")
    last = worker.members.set_state(scope, "lost", "ready", None, author()).member
    worker.members.heartbeat(scope, "lost", None, worker.cursor(last.revision))
    cursor = worker.cursor(worker.store.refresh(soon()).revision)
    expiring = threads.submit(worker.watch.poll, scope, cursor, 100, Filter())
    while wait([expiring], RENEWAL_SECONDS).not_done:
        worker.members.heartbeat(scope, "kept", kept.member.generation, None)
    (event,) = expiring.result(60).events
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


# Lists


def test_pages_show_the_members_of_one_revision(worker: Worker, scope: Scope) -> None:
    for n in range(5):
        join(worker, scope, f"c{n}", "odd" if n % 2 else "even")
    first = worker.members.list(scope, limit=2)
    assert [m.name for m in first.items] == ["c0", "c1"]
    assert first.marker == "c1"
    worker.members.depart(scope, "c3", "left", None, author())
    join(worker, scope, "c25")
    rest = worker.members.list(scope, limit=10, marker="c1", at=first.cursor)
    assert [m.name for m in rest.items] == ["c2", "c3", "c4"]
    assert (rest.cursor, rest.marker) == (first.cursor, None)
    assert names(worker, scope) == ["c0", "c1", "c2", "c25", "c4"]
    assert names(worker, scope, group="odd") == ["c1"]
    with pytest.raises(CursorExpired):
        worker.members.list(scope, limit=1, at=Cursor("0" * 16, first.cursor.revision))


def test_a_stack_that_is_missing_has_no_list_of_members(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        names(worker, scope)


# Stack deletion and quotas


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
    join(worker, scope, "c2")  # a new incarnation does not count twice
    worker.members.depart(scope, "c2", "left", None, author())
    worker.store.refresh(soon())
    join(worker, scope, "c3")


def test_the_attributes_of_a_member_count_as_bytes(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(bytes_per_stack=1000))
    first = join(worker, scope, text="x" * 400)
    with pytest.raises(Forbidden):
        join(worker, scope, "c2", text="x" * 800)
    with pytest.raises(Forbidden):
        join(worker, scope, generation=first.member.generation, text="x" * 1200)
    assert worker.stacks.get(scope).usage.bytes == first.member.size


def test_every_worker_knows_the_age_of_the_last_heartbeat_until_the_time_is_over(
    world: World, worker: Worker, scope: Scope
) -> None:
    other = world.worker()
    member = join(worker, scope, "c1", ttl=3600).member

    def age() -> int:
        found = other.services.heartbeats.get(scope, "c1")
        assert (found.member.generation, found.age is not None) == (member.generation, True)
        return found.age or 0

    eventually(lambda: age() >= 2)

    def is_young() -> bool:
        worker.members.heartbeat(scope, "c1", None, None)
        return age() < 2

    eventually(is_young)
    declare(worker, scope, "later")
    assert worker.services.heartbeats.get(scope, "later").age is None
    with pytest.raises(NotFound):
        worker.services.heartbeats.get(scope, "nobody")
    lease = pulse_lease(member.lease) if is_monitored(member.lease) else member.lease
    assert worker.store.seconds_since_renewal(lease ^ 1 << 40, soon()) == math.inf
