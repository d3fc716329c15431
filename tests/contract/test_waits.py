"""Waits on every backend: what is found, who sees it, and how workers share blocked reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import NotFound
from factstore.core.model.blocked_reads import ENTRIES, BlockedReads
from factstore.core.model.fact import Scope
from factstore.core.model.permissions import Permissions
from factstore.core.model.wait import READERS
from factstore.core.services import wait_monitor
from factstore.core.services.wait_texts import never_detail
from tests.contract.blocking import agent, block, look, member, reports, seen, texts
from tests.contract.membership import declare, join
from tests.contract.test_configurations import put as put_configuration
from tests.contract.test_configurations import report
from tests.contract.test_turns import take
from tests.contract.waiting import arm, state_of
from tests.contract.world import Worker, World, author, events_since, soon
from tests.eventually import eventually


def test_a_read_that_waits_is_shown_until_it_ends(
    worker: Worker, scope: Scope, members: None, threads: ThreadPoolExecutor
) -> None:
    reading = worker.waiting(
        threads, worker.facts.get, scope, "nodes/b/ip", wait=60, reader=member("a")
    )
    found = seen(worker, scope)
    assert texts(found.waits) == ["a > nodes/b/ip > b"]
    assert not found.stuck
    worker.put(scope, "nodes/b/ip")
    reading.result()
    assert seen(worker, scope).waits == ()


def test_a_read_of_a_fact_that_exists_waits_for_a_change_and_not_for_its_owner(
    worker: Worker, scope: Scope, members: None, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "nodes/b/ip")
    reading = worker.waiting(
        threads,
        worker.facts.get,
        scope,
        "nodes/b/ip",
        wait=60,
        unless=lambda found: found.fact.version == 1,
        reader=member("a"),
    )
    assert seen(worker, scope).waits == ()
    worker.put(scope, "nodes/b/ip", 2)
    reading.result()


def test_other_workers_show_a_read_that_is_blocked_for_longer_than_a_look(
    world: World, worker: Worker, scope: Scope, members: None
) -> None:
    other = world.worker()
    end = worker.services.blocked_reads.begin(scope, "nodes/b/ip", member("a"))
    worker.services.blocked_reads.begin(scope, "nodes/b/ip", member("a"))
    other.services.blocked_reads.begin(scope, "nodes/b/ip", member("a"))
    worker.wait_monitor.run_once()
    other.store.refresh(soon())
    (found,) = seen(other, scope).waits
    assert (found.who, found.owners, found.count) == (member("a"), (member("b"),), 3)
    assert found.since == min(read.since for read in worker.services.blocked_reads.of(scope))
    end()
    worker.wait_monitor.run_once()
    assert [wait.count for wait in seen(other, scope).waits] == [2]


def test_shared_reads_wake_nobody_and_move_nothing_that_is_watched(
    world: World, worker: Worker, scope: Scope, members: None, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    state, context = other.store.refresh(soon()), other.context.get(scope)
    stack_state = state.stack_state(scope)
    assert stack_state is not None
    revision, changed = state.revision, stack_state.changed
    waiting = [
        other.waiting(threads, other.hub.wait_change, scope, state.cursor, 60),
        other.waiting(threads, other.hub.wait, scope, state.cursor, 60),
    ]
    block(worker, scope, "nodes/b/ip")
    worker.wait_monitor.run_once()
    assert other.store.refresh(soon()).revision > revision
    assert texts(seen(other, scope).waits) == ["alice > nodes/b/ip > b"]
    assert events_since(other, scope, revision) == []
    assert not any(each.done() for each in waiting)
    assert stack_state.changed == changed
    assert other.context.get(scope).etag == context.etag
    worker.put(scope, "x")
    assert all(each.result() for each in waiting)


def test_an_unchanged_set_of_blocked_reads_is_written_once(
    worker: Worker, scope: Scope, members: None
) -> None:
    block(worker, scope, "nodes/b/ip")
    worker.wait_monitor.run_once()
    head = worker.backend.head(soon())
    worker.wait_monitor.run_once()
    assert worker.backend.head(soon()) == head
    block(worker, scope, "nodes/b/port")
    worker.wait_monitor.run_once()
    assert worker.backend.head(soon()) == head + 1


def test_the_reads_of_a_lost_worker_are_forgotten_with_its_lease(
    world: World, worker: Worker, scope: Scope, members: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_monitor, "TTL", 1)
    other = world.worker()
    block(worker, scope, "nodes/b/ip")
    worker.wait_monitor.run_once()
    other.store.refresh(soon())
    assert len(seen(other, scope).waits) == 1
    eventually(lambda: not seen(other, scope).waits)  # the worker looks no more
    worker.wait_monitor.run_once()  # it was only paused
    assert len(eventually(lambda: seen(other, scope).waits)) == 1


def test_the_shared_reads_of_a_stack_are_bounded_and_the_others_are_counted(
    world: World, worker: Worker, scope: Scope, members: None
) -> None:
    other = world.worker()
    for number in range(ENTRIES + 7):
        block(worker, scope, f"nodes/b/{number}")
    worker.wait_monitor.run_once()
    other.store.refresh(soon())
    found = seen(other, scope)
    assert (len(found.waits), found.omitted) == (ENTRIES, 7)
    long = "x" * 120
    for number in range(ENTRIES):
        block(worker, scope, f"nodes/a/{long}/{long}/{long}/{number}")
    worker.wait_monitor.run_once()
    (record,) = worker.store.state().records(scope, BlockedReads)
    assert sum(len(read.path) for read in record.entries) < 70_000
    assert len(record.entries) + record.omitted == 2 * ENTRIES + 7


def test_the_shared_reads_of_a_deleted_stack_are_forgotten(
    world: World, worker: Worker, scope: Scope, members: None
) -> None:
    block(worker, scope, "nodes/b/ip")
    worker.wait_monitor.run_once()
    worker.stacks.delete(scope, author())
    worker.wait_monitor.run_once()
    with pytest.raises(NotFound):
        seen(worker, scope)
    join(worker, scope, "a")
    assert len(seen(worker, scope).waits) == 1  # the request still waits
    worker.wait_monitor.run_once()
    other = world.worker()
    assert len(seen(other, scope).waits) == 1


def test_members_that_wait_for_each_other_are_a_circle_on_every_worker(
    world: World, worker: Worker, scope: Scope, members: None
) -> None:
    other = world.worker()
    block(worker, scope, "nodes/b/key", member("a"))
    block(other, scope, "nodes/a/ip", member("b"))
    for each in (worker, other):
        each.store.refresh(soon())
        each.wait_monitor.run_once()
    for each in (worker, other):
        each.store.refresh(soon())
        found = seen(each, scope)
        assert [circle.parties for circle in found.circles] == [(member("a"), member("b"))]
        assert texts(step.wait for step in found.circles[0].steps) == [
            "a > nodes/b/key > b",
            "b > nodes/a/ip > a",
        ]
        assert (found.stuck, found.since) == (True, found.circles[0].since)
    worker.put(scope, "nodes/b/key")
    other.store.refresh(soon())
    assert not any(seen(each, scope).stuck for each in (worker, other))


def test_a_wait_for_a_member_that_does_not_exist_never_ends_by_itself(
    worker: Worker, scope: Scope, members: None
) -> None:
    block(worker, scope, "nodes/c/ip", member("a"))
    block(worker, scope, "shared/ip", member("a"))  # anybody with a token may write it
    (never,) = seen(worker, scope).never
    assert never_detail(never) == (
        "a waits for nodes/c/ip, but member c does not exist and is not declared."
    )
    declare(worker, scope, "c")
    assert not seen(worker, scope).stuck
    worker.members.depart(scope, "b", "scaled_in", None, author())
    block(worker, scope, "nodes/b/ip", member("a"))
    (never,) = seen(worker, scope).never
    assert never_detail(never) == (
        "a waits for nodes/b/ip, but member b does not exist any more: scaled_in."
    )
    join(worker, scope, "b")
    assert not seen(worker, scope).stuck


def test_waiters_wait_for_what_they_miss_and_for_enough_of_it(
    worker: Worker, scope: Scope, members: None
) -> None:
    arm(worker, scope, "one", {"facts": "nodes/a/x", "present": True})
    arm(worker, scope, "two", {"facts": "nodes/*/x", "present": True, "count": 2})
    arm(worker, scope, "three", {"facts": "nodes/*/x", "present": True, "count": 3})
    arm(worker, scope, "every", {"every_member": {"fact": "x", "equals": 1, "at_least": 3}})
    arm(worker, scope, "applied", {"converged": {}})
    arm(worker, scope, "signals", {"signals": 1})
    assert texts(seen(worker, scope).waits) == [
        "applied > a > a",
        "applied > b > b",
        "every > * > ",
        "every > nodes/a/x > a",
        "every > nodes/b/x > b",
        "one > nodes/a/x > a",
        "signals > signals > ",
        "three > nodes/*/x > ",  # a third member has to join
        "two > nodes/*/x > a,b",
    ]
    assert not seen(worker, scope).stuck
    worker.put(scope, "nodes/a/x")
    assert "two > nodes/*/x > b" in texts(seen(worker, scope).waits)


def test_a_waiter_is_blocked_by_a_circle_only_if_nothing_else_suffices(
    worker: Worker, scope: Scope, members: None
) -> None:
    block(worker, scope, "nodes/b/key", member("a"))
    block(worker, scope, "nodes/a/ip", member("b"))
    blocked = {"facts": "nodes/a/ready", "present": True}
    free = {"facts": "shared/ready", "present": True}
    arm(worker, scope, "needs", {"all": [blocked, free]})
    arm(worker, scope, "either", {"any": [blocked, free]})
    arm(worker, scope, "both", {"facts": "nodes/*/ready", "present": True, "count": 2})
    join(worker, scope, "c")
    arm(worker, scope, "one", {"facts": "nodes/*/ready", "present": True, "count": 1})
    state = worker.store.state()
    with state.read():
        found = worker.wait_monitor.find(state.stack_state(scope))  # type: ignore[arg-type]
    waiters = {party.name for party in found.verdict.blocked if party.kind == "waiter"}
    assert waiters == {"needs", "both"}


def test_a_value_that_differs_is_shown_and_blocks_nobody_as_long_as_its_owner_lives(
    world: World, scope: Scope
) -> None:
    patient, strict = world.worker(), world.worker(stuck_seconds=0.0)
    before = join(patient, scope, "a").cursor.revision
    patient.put(scope, "nodes/a/state", "starting")
    patient.put(scope, "nodes/a/load", 1)
    started = {"facts": "nodes/a/state", "equals": "started"}
    arm(patient, scope, "w", started, fail_when_stuck=1)
    arm(patient, scope, "load", {"facts": "nodes/a/load", "at_least": 5})
    look(strict, times=3)
    assert seen(patient, scope).never == ()
    found = seen(strict, scope)
    (never,) = found.never
    assert (never.who, found.stuck, found.since) == (("waiter", "w"), False, None)
    assert "starting" not in never_detail(never)
    assert reports(strict, scope, before) == []
    patient.members.depart(scope, "a", "left", None, author())
    look(strict, times=3)
    assert seen(strict, scope).stuck
    assert [kind for kind, _ in reports(strict, scope, before)] == ["stack.stuck"]
    eventually(lambda: look(strict) or state_of(strict, scope, "w") == "failed", pause=0.3)


def test_configurations_wait_for_each_other_and_for_their_members(
    worker: Worker, scope: Scope, members: None
) -> None:
    first = put_configuration(worker, scope, "a/db")
    put_configuration(worker, scope, "b/app", "a/db")
    put_configuration(worker, scope, "c/app", "a/db")
    assert texts(seen(worker, scope).waits) == [
        "a/db > a > a",
        "b/app > a/db > a/db",
        "c/app > a/db > a/db",
    ]
    block(worker, scope, "results/b/app", member("a"))  # its database waits for the application
    assert [party.name for party in seen(worker, scope).circles[0].parties] == [
        "a/db",
        "a",
        "b/app",
    ]
    report(worker, scope, "a/db", first, "failed", status_code=1)
    found = seen(worker, scope)
    assert found.circles == ()
    assert [never.who.name for never in found.never] == ["b/app", "c/app"]
    assert never_detail(found.never[0]) == (
        "a configuration of b waits for a configuration of a, which is failed."
    )
    again = put_configuration(worker, scope, "a/db", trigger="again")
    report(worker, scope, "a/db", again)
    assert texts(seen(worker, scope).never) == ["c/app > c > c"]


def test_turns_wait_for_their_holders(worker: Worker, scope: Scope, members: None) -> None:
    join(worker, scope, "c")
    for name in ("a", "b", "c"):
        take(worker, scope, name, 2)
    assert texts(seen(worker, scope).waits) == ["c > q > a,b"]
    block(worker, scope, "nodes/c/ip", member("a"))
    assert not seen(worker, scope).stuck  # b can give its turn back
    block(worker, scope, "nodes/c/ip", member("b"))
    assert {party.name for party in seen(worker, scope).circles[0].parties} == {"a", "b", "c"}


def test_a_member_sees_only_its_own_waits_and_circles(
    worker: Worker, scope: Scope, members: None
) -> None:
    join(worker, scope, "c")
    block(worker, scope, "nodes/b/key", member("a"))
    block(worker, scope, "nodes/a/ip", member("b"))
    block(worker, scope, "nodes/z/ip", member("c"))
    block(worker, scope, "nodes/b/other")
    arm(worker, scope, "w")
    put_configuration(worker, scope, "b/secret")
    found = seen(worker, scope, agent("a"))
    assert texts(found.waits) == ["a > nodes/b/key > b"]
    assert len(found.circles) == 1
    assert found.never == ()
    found = seen(worker, scope, agent("c"))
    assert texts(found.waits) == texts(found.never) == ["c > nodes/z/ip > z"]
    assert found.circles == ()
    found = seen(worker, scope, agent("other"))
    assert (found.waits, found.stuck, found.omitted) == ((), False, 0)


def test_holders_of_other_grants_see_no_users_and_no_configurations(
    worker: Worker, scope: Scope, members: None
) -> None:
    block(worker, scope, "nodes/b/x")
    block(worker, scope, "configs/a/secret", READERS)
    block(worker, scope, "results/b/secret", member("a"))
    put_configuration(worker, scope, "b/secret", "a/hidden")
    put_configuration(worker, scope, "a/hidden")
    (circle,) = seen(worker, scope).circles
    assert [party.name for party in circle.parties] == ["a/hidden", "a", "b/secret"]
    for permissions in (Permissions("reader"), Permissions("agent", group="compute")):
        found = seen(worker, scope, permissions)
        assert texts(found.waits) == ["user > nodes/b/x > b"]
        assert [party.name for party in found.circles[0].parties] == ["a", "b"]
        assert "hidden" not in repr(found)
        assert "alice" not in repr(found)
    found = seen(worker, scope, agent("a"))  # it knows its own configuration, and what it waits for
    assert "configs/b" not in repr(found)
