"""Declared members that stay, depart, fall silent and are removed, on every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from factstore.core.errors import Conflict, NotFound, Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest, Member
from factstore.core.model.record import RecordKey
from factstore.core.services.watch_filter import Filter
from tests.contract.membership import changes_by_event, changes_since, declare, join, names, refusal
from tests.contract.waiting import arm
from tests.contract.world import Worker, World, author, new_scope, soon

# Staying and departing


def test_a_heartbeat_of_a_declared_member_is_accepted_and_may_state_an_applied_revision(
    worker: Worker, scope: Scope
) -> None:
    declared = declare(worker, scope)
    head = worker.backend.head(soon())
    worker.members.heartbeat(scope, "c1", None, None)
    worker.members.heartbeat(scope, "c1", declared.member.generation, None)
    assert worker.backend.head(soon()) == head
    with pytest.raises(Conflict):
        worker.members.heartbeat(scope, "c1", "abc", None)
    worker.members.heartbeat(scope, "c1", None, declared.cursor)
    worker.store.refresh(soon())
    assert worker.convergence.get(scope).reached
    join(worker, scope)
    assert not worker.convergence.get(scope).reached


def test_a_stale_worker_does_not_accept_a_heartbeat_of_a_departed_member(
    world: World, worker: Worker, scope: Scope
) -> None:
    other = world.worker()
    declare(worker, scope)
    other.members.get(scope, "c1")
    worker.members.depart(scope, "c1", "left", None, author())
    with pytest.raises(NotFound):
        other.members.heartbeat(scope, "c1", None, None)


def test_a_declared_member_that_has_not_joined_holds_back_convergence(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope, "c0")
    declare(worker, scope)
    (lagging,) = [f for f in worker.convergence.get(scope).members if f.member.name == "c1"]
    assert (lagging.applied, lagging.lags) == (None, True)
    assert not worker.convergence.get(scope).reached


def departs(worker: Worker, scope: Scope, member: Member, declared: str | None) -> None:
    start = worker.store.refresh(soon()).revision
    departed = worker.members.depart(scope, "c1", "scaled_in", None, author("heat"), declared)
    worker.store.refresh(soon())
    ((change,),) = changes_since(worker, scope, start)
    assert isinstance(change.record, Member)
    assert (change.type, change.reason, change.by) == ("member.depart", "scaled_in", "heat")
    assert (change.former, change.record.revision) == (member, departed.revision)
    assert change.record.generation == member.generation
    with pytest.raises(NotFound):
        worker.members.get(scope, "c1")
    assert worker.stacks.get(scope).usage.facts == 0


@pytest.mark.parametrize("word", [None, "heat:1"])
def test_a_declared_member_departs_on_request_and_leaves_no_keys(
    worker: Worker, scope: Scope, word: str | None
) -> None:
    declared = declare(worker, scope)
    worker.members.heartbeat(scope, "c1", None, declared.cursor)
    departs(worker, scope, declared.member, word)
    assert worker.store.state().stack_state(scope).convergence.applied == {}  # type: ignore[union-attr]


def test_adopted_and_noted_members_depart_by_their_declaration(
    worker: Worker, scope: Scope
) -> None:
    declare(worker, scope)
    departs(worker, scope, join(worker, scope).member, "heat:1")
    join(worker, scope)
    departs(worker, scope, declare(worker, scope).member, "heat:1")


def test_departing_with_another_declaration_is_refused(worker: Worker, scope: Scope) -> None:
    def by(word: str) -> None:
        worker.members.depart(scope, "c1", "left", None, author(), word)

    worker.put(scope, "p")
    with pytest.raises(NotFound):
        by("heat:1")
    for living in (lambda: declare(worker, scope), lambda: join(worker, scope)):
        member = living().member
        with pytest.raises(Conflict) as refused:
            by("heat:2")
        assert refusal(refused) == "member_declared"
        assert worker.members.get(scope, "c1") == member
    worker.members.depart(scope, "c1", "left", None, author())
    join(worker, scope)
    with pytest.raises(Conflict) as refused:
        by("heat:1")
    assert refusal(refused) == "member_declared"


def test_a_departed_member_whose_removal_failed_expires_and_blocks_no_other(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoke(lease: int, deadline: float) -> None:
        raise Unavailable("not now")

    declare(worker, scope)
    with monkeypatch.context() as patched:
        patched.setattr(worker.store, "revoke_lease", revoke)
        worker.members.depart(scope, "c1", "left", None, author())
    record = worker.store.refresh(soon()).record(scope, RecordKey(Member, "c1"))
    assert isinstance(record, Member)
    assert record.departed
    assert record.lease  # it expires
    assert names(worker, scope) == []
    again = declare(worker, scope, declared="heat:2")
    assert (again.outcome, again.member.lease) == ("created", 0)
    assert worker.members.get(scope, "c1") == again.member


def test_joining_during_a_departure_leaves_a_consistent_state(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    for n in range(8):
        name = f"c{n}"
        declare(worker, scope, name)
        joining = threads.submit(join, other, scope, name)
        departing = threads.submit(worker.members.depart, scope, name, "left", None, author())
        joined, departed = joining.result(60), departing.result(60)
        if joined.cursor < departed:
            assert joined.outcome == "adopted"
            assert name not in names(worker, scope)
        else:
            assert joined.outcome == "created"
            assert worker.members.get(scope, name) == joined.member
            assert joined.member.declared is None


def test_adopting_during_a_stack_deletion_happens_before_it_or_in_a_new_stack(
    world: World, worker: Worker, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    for _ in range(6):
        scope = new_scope()
        declare(worker, scope)
        deleting = threads.submit(worker.stacks.delete, scope, author())
        joined = threads.submit(join, other, scope).result(60)
        deleting.result(60)
        worker.store.refresh(soon())
        if joined.outcome == "adopted":
            with pytest.raises(NotFound):
                worker.members.get(scope, "c1")
        else:
            assert worker.members.get(scope, "c1").declared is None


def test_declaring_a_member_creates_no_stack(worker: Worker, scope: Scope) -> None:
    request = JoinRequest.of("compute", None, {}, declared="heat:1")
    with pytest.raises(NotFound, match="There is no stack named"):
        worker.members.join(scope, "c1", request, author())
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


def test_declaring_during_a_stack_deletion_never_restores_the_stack(
    world: World, worker: Worker, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    request = JoinRequest.of("compute", None, {}, declared="heat:2")
    for _ in range(6):
        scope = new_scope()
        declare(worker, scope)
        deleting = threads.submit(worker.stacks.delete, scope, author())
        with suppress(NotFound):
            other.members.join(scope, "c2", request, author())
        deleting.result(60)
        worker.store.refresh(soon())
        with pytest.raises(NotFound):
            worker.stacks.get(scope)


def test_a_stack_that_was_deleted_leaves_no_declared_member(worker: Worker, scope: Scope) -> None:
    declare(worker, scope)
    worker.stacks.delete(scope, author())
    worker.put(scope, "p")
    assert names(worker, scope) == []
    assert declare(worker, scope).outcome == "created"


# Awaited again


def test_a_declared_member_whose_agent_fell_silent_is_awaited_again_on_every_worker(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    declared = declare(worker, scope, index=1, reason="scaled_out")
    join(worker, scope, ttl=5, rack="r1")
    worker.put(scope, "nodes/c1/ip", 1, member="c1")
    ready = worker.members.set_state(scope, "c1", "ready", None, author()).member
    worker.members.heartbeat(scope, "c1", None, worker.cursor(ready.revision))
    assert worker.convergence.get(scope).reached
    cursor = worker.cursor(worker.store.refresh(soon()).revision)
    (event,) = threads.submit(other.watch.poll, scope, cursor, 100, Filter()).result(60).events
    assert [(c.type, c.path, c.reason) for c in event.changes] == [
        ("fact.expire", "nodes/c1/ip", None),
        ("member.change", None, "expired"),
    ]
    (change,) = event.changes[1:]
    assert change.former == ready
    awaited = change.record
    assert isinstance(awaited, Member)
    assert (awaited.declared, awaited.ttl, awaited.state) == ("heat:1", None, "joining")
    assert (awaited.group, awaited.attributes, awaited.reason) == (
        *("compute", '{"index":1}'),
        "scaled_out",
    )
    assert awaited.generation == declared.member.generation
    for each in (worker, other, world.worker()):
        each.store.refresh(soon())
        assert each.members.get(scope, "c1") == awaited
        assert names(each, scope, declared="heat:1") == ["c1"]
        found = each.convergence.get(scope)
        assert [(f.member.name, f.applied, f.lags) for f in found.members] == [("c1", None, True)]
        assert each.paths(scope) == []
        assert each.stacks.get(scope).usage.facts == 1
    adopted = join(other, scope)
    assert (adopted.outcome, adopted.member.reason) == ("adopted", "scaled_out")
    assert changes_by_event(worker, scope, event.revision) == [["member.change c1"]]


def test_a_declared_member_that_departs_by_itself_is_awaited_again(
    worker: Worker, scope: Scope
) -> None:
    declared = declare(worker, scope)
    joined = join(worker, scope)
    worker.put(scope, "nodes/c1/ip", 1, member="c1")
    arm(worker, scope, success={"every_member": {"fact": "x", "present": True, "at_least": 0}})
    before = worker.store.refresh(soon()).revision
    departed = worker.members.depart(
        scope, "c1", "stopped", joined.member.generation, author(), keeps_declaration=True
    )
    awaited = worker.members.get(scope, "c1")
    assert (awaited.declared_only, awaited.generation) == (True, declared.member.generation)
    (first, second) = changes_since(worker, scope, before)
    assert [(c.type, c.reason) for c in first] == [("member.change", "departed")]
    assert [c.type for c in second] == ["fact.expire"]
    assert worker.waiters.get(scope, "w").waiter.state == "pending"  # it still awaits the member
    with pytest.raises(Conflict):
        worker.members.heartbeat(scope, "c1", joined.member.generation, None)
    assert join(worker, scope).outcome == "adopted"
    assert worker.members.get(scope, "c1").revision > departed.revision


def test_an_owner_removes_a_declared_member_with_its_declaration(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    declare(worker, scope)
    join(worker, scope)
    worker.members.depart(scope, "c1", "scaled_in", None, author(), "heat:1")
    assert names(worker, scope) == names(world.worker(), scope) == []
    declare(worker, scope, "c2", declared="heat:2")
    join(worker, scope, "c2", ttl=5)
    cursor = worker.cursor(worker.store.refresh(soon()).revision)
    threads.submit(worker.watch.poll, scope, cursor, 100, Filter()).result(60)
    worker.members.depart(scope, "c2", "scaled_in", None, author(), "heat:2")  # it is awaited
    assert names(worker, scope) == names(world.worker(), scope) == []


def test_an_awaited_member_may_be_changed_by_its_owner(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    declare(worker, scope)
    join(worker, scope, ttl=5)
    cursor = worker.cursor(worker.store.refresh(soon()).revision)
    threads.submit(worker.watch.poll, scope, cursor, 100, Filter()).result(60)
    assert declare(worker, scope).outcome == "unchanged"
    changed = declare(worker, scope, group="gpu")
    assert (changed.outcome, changed.member.group) == ("updated", "gpu")
    first = worker.members.list(scope, limit=1)
    join(worker, scope, "c0")
    pages = worker.members.list(scope, limit=9, at=first.cursor)
    assert [member.name for member in pages.items] == ["c1"]
    drained = worker.members.set_state(scope, "c1", "draining", None, author()).member
    assert (drained.state, drained.declared_only) == ("draining", True)
