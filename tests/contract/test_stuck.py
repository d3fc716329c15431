"""Stacks that are stuck, on every backend: when they are reported, and which waiters fail."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.core.model.fact import Scope
from factstore.core.services.watch_filter import Filter
from tests.contract.blocking import USER, agent, block, look, member, reports, seen
from tests.contract.membership import join
from tests.contract.waiting import arm, decided, state_of, waiter_events
from tests.contract.world import CLOCK, Worker, World, soon
from tests.eventually import eventually

STUCK = (
    "a waits for nodes/b/key, which b writes; b waits for nodes/a/ip, which a writes. "
    "An owner of the stack can still write what is awaited."
)


def test_a_stack_is_reported_as_stuck_once_and_as_not_stuck_once(
    world: World, scope: Scope
) -> None:
    workers = [world.worker(stuck_seconds=0.0) for _ in range(2)]
    one, other = workers
    for name in ("a", "b"):
        join(one, scope, name)
    before = one.store.refresh(soon()).revision
    target, context = one.convergence.get(scope).target, one.context.get(scope)
    block(one, scope, "nodes/b/key", member("a"))
    block(one, scope, "nodes/a/ip", member("b"))
    look(one, times=1)
    assert reports(one, scope, before) == []
    look(*workers)
    assert reports(other, scope, before) == [("stack.stuck", STUCK)]
    assert seen(other, scope).reported_at is not None
    look(*workers)
    assert len(reports(one, scope, before)) == 1
    assert one.convergence.get(scope).target == target
    assert one.context.get(scope).etag == context.etag
    one.put(scope, "nodes/a/ip")
    look(one, times=1)
    assert len(reports(one, scope, before)) == 1
    look(*workers)
    assert reports(one, scope, before)[1:] == [("stack.unstuck", None)]
    assert seen(other, scope).reported_at is None
    look(*workers)
    assert len(reports(other, scope, before)) == 2
    late = world.worker()
    assert late.store.refresh(soon()).revision >= before


def test_a_stack_is_not_reported_before_it_was_stuck_for_some_time(
    worker: Worker, scope: Scope, members: None
) -> None:
    before = worker.store.refresh(soon()).revision
    block(worker, scope, "nodes/c/ip", member("a"))
    look(worker, times=5)
    assert seen(worker, scope).stuck
    assert reports(worker, scope, before) == []


def test_a_lasting_circle_is_reported_while_other_causes_come_and_go(
    world: World, scope: Scope
) -> None:
    worker = world.worker(stuck_seconds=0.0)
    for name in ("a", "b"):
        join(worker, scope, name)
    before = worker.store.refresh(soon()).revision
    block(worker, scope, "nodes/b/key", member("a"))
    block(worker, scope, "nodes/a/ip", member("b"))
    for number in range(3):
        end = worker.services.blocked_reads.begin(scope, f"nodes/z{number}/ip", USER)
        look(worker, times=1)
        end()
    assert reports(worker, scope, before) == [("stack.stuck", STUCK)]
    worker.put(scope, "nodes/a/ip")
    for number in range(3):
        end = worker.services.blocked_reads.begin(scope, f"nodes/y{number}/ip", USER)
        look(worker, times=1)
        end()
    assert reports(worker, scope, before)[1:] == [("stack.unstuck", None)]


def test_a_circle_that_grows_with_each_member_that_joins_is_reported(
    world: World, scope: Scope
) -> None:
    worker = world.worker(stuck_seconds=0.0)
    before = join(worker, scope, "head").cursor.revision
    for number in (3, 2, 1):
        join(worker, scope, f"c{number}")
        block(worker, scope, "nodes/head/ip", member(f"c{number}"))
        block(worker, scope, f"nodes/c{number}/key", member("head"))
        look(worker, times=1)
    assert [kind for kind, _ in reports(worker, scope, before)] == ["stack.stuck"]


def test_readers_filter_the_reports_by_type(world: World, scope: Scope) -> None:
    worker = world.worker(stuck_seconds=0.0)
    join(worker, scope, "a")
    cursor = worker.cursor(worker.store.refresh(soon()).revision)
    block(worker, scope, "nodes/z/ip", member("a"))
    look(worker)
    worker.put(scope, "nodes/a/x")

    def types(**options: Any) -> list[str]:
        page = worker.watch.poll(scope, cursor, 60, Filter(**options))
        return [change.type for event in page.events for change in event.changes]

    assert eventually(lambda: len(found := types()) == 2 and found) == ["stack.stuck", "fact.put"]
    assert types(types=frozenset({"stack.stuck"})) == ["stack.stuck"]
    assert types(prefixes=("nodes",)) == ["fact.put"]
    assert types(permissions=agent("b")) == ["stack.stuck", "fact.put"]


def test_a_waiter_fails_with_the_circle_that_blocks_it(
    world: World, worker: Worker, scope: Scope, members: None
) -> None:
    other = world.worker()
    before = worker.store.refresh(soon()).revision
    ready = {"facts": "nodes/a/ready", "present": True}
    arm(worker, scope, "soon", ready, fail_when_stuck=1)
    arm(worker, scope, "later", ready, fail_when_stuck=3600)
    arm(worker, scope, "never", ready)
    arm(worker, scope, "free", {"any": [ready, {"facts": "x", "present": True}]}, fail_when_stuck=1)
    block(worker, scope, "nodes/b/key", member("a"))
    block(worker, scope, "nodes/a/ip", member("b"))

    def failed() -> bool:
        look(worker, other, times=1)
        return state_of(worker, scope, "soon") == "failed"

    eventually(failed, pause=0.3)
    ended = decided(worker, scope, "soon")
    assert ended.reason == f"stuck: {STUCK}"
    assert ended.progress is not None
    assert ended.progress.missing == ("nodes/a/ready",)
    look(worker, other)
    assert waiter_events(other, scope, before) == [("soon", "waiter.failed")]
    assert {state_of(worker, scope, name) for name in ("later", "never", "free")} == {"pending"}


def test_a_circle_of_templates_has_more_time_because_their_agents_still_publish(
    worker: Worker, scope: Scope, members: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = worker.store.refresh(soon()).revision
    arm(worker, scope, "w", {"facts": "nodes/a/token", "present": True}, fail_when_stuck=1)
    for name, other in (("a", "b"), ("b", "a")):
        worker.put(scope, f"results/{name}/agent/missing", [f"nodes/{other}/token"])
    now = CLOCK.monotonic()
    monkeypatch.setattr(CLOCK, "monotonic", lambda: now)
    look(worker)
    now += 89
    look(worker)
    assert (reports(worker, scope, before), state_of(worker, scope, "w")) == ([], "pending")
    now += 2
    look(worker)
    (report,) = reports(worker, scope, before)
    ended = decided(worker, scope, "w").reason
    for reason in (report[1], ended):
        assert reason is not None
        assert reason.endswith("whose template lacks a fact still publishes facts of its own.")
    worker.put(scope, "nodes/a/token")
    look(worker)
    assert [kind for kind, _ in reports(worker, scope, before)] == ["stack.stuck", "stack.unstuck"]


def test_a_waiter_whose_circle_is_broken_in_time_does_not_fail(
    worker: Worker, scope: Scope, members: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = {"facts": "nodes/a/ready", "present": True}
    arm(worker, scope, "w", ready, fail_when_stuck=1)
    end = worker.services.blocked_reads.begin(scope, "nodes/z/key", member("a"))
    look(worker, times=1)
    later = CLOCK.monotonic() + 100
    monkeypatch.setattr(CLOCK, "monotonic", lambda: later)
    end()
    look(worker)
    assert state_of(worker, scope, "w") == "pending"
    arm(worker, scope, "gone", {"facts": "nodes/z/ready", "present": True}, fail_when_stuck=1)
    look(worker, times=1)
    later += 100
    look(worker, times=1)
    assert state_of(worker, scope, "gone") == "failed"
    ended = decided(worker, scope, "gone")
    assert ended.reason is not None
    assert "member z does not exist and is not declared" in ended.reason
