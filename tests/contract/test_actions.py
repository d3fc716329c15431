"""Actions on every backend: who runs, how many at once, and runs that do not end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from factstore.core.errors import Conflict, Forbidden, NotFound
from factstore.core.model.action import ActionRequest
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.fact import Scope
from factstore.core.operations.idempotency import Idempotency
from factstore.core.state.action_view import ActionView
from tests.contract.membership import changes_since, join
from tests.contract.world import Worker, World, author, soon
from tests.eventually import eventually
from tests.unit.core.test_configuration import RESULT

BODY: dict[str, Any] = {
    "hook": "script",
    "config": "uptime",
    "options": {},
    "inputs": {},
    "input_facts": {},
    "member": None,
    "group": "compute",
    "max_parallel": None,
    "timeout": 600,
    "ttl": 600,
}


def create(worker: Worker, scope: Scope, key: Idempotency | None = None, **fields: Any) -> str:
    """Create an action; return its id."""
    request = ActionRequest.of({**BODY, **fields})
    return worker.services.actions.create(scope, request, author(), key).action.id


def report(
    worker: Worker, scope: Scope, action: str, member: str, state: str = "complete", **fields: Any
) -> str:
    """Report a result; return the state of the run."""
    result = ConfigurationResult.of({**RESULT, "id": action, "state": state, **fields})
    found, _ = worker.services.actions.report(scope, action, member, result, author())
    return found.run.state


def get(worker: Worker, scope: Scope, action: str) -> ActionView:
    return worker.services.actions.get(scope, action)


def states(worker: Worker, scope: Scope, action: str) -> dict[str, str]:
    return {run.member: run.state for run in get(worker, scope, action).runs}


def due(worker: Worker, scope: Scope, member: str) -> list[str]:
    """Return the actions that a member may start."""
    found = worker.services.actions.of_member(scope, member, unless=lambda runs: False)
    return [each.action.id for each in found if each.run.state == "due"]


def refusal(worker: Worker, scope: Scope, *report_arguments: Any, **fields: Any) -> str:
    with pytest.raises(Conflict) as caught:
        report(worker, scope, *report_arguments, **fields)
    return caught.value.code


def test_an_action_is_for_the_members_that_had_joined(
    world: World, worker: Worker, scope: Scope
) -> None:
    for name in ("c2", "c1"):
        join(worker, scope, name)
    join(worker, scope, "head", "head")
    action = create(worker, scope)
    join(worker, scope, "c3")
    for each in (worker, world.worker()):
        assert states(each, scope, action) == {"c1": "due", "c2": "due"}
        assert due(each, scope, "c1") == [action]
        assert due(each, scope, "c3") == due(each, scope, "head") == []
    assert states(worker, scope, create(worker, scope, member="head", group=None)) == {
        "head": "due"
    }
    assert report(worker, scope, action, "c1", "in_progress", percent=50) == "in_progress"
    assert report(worker, scope, action, "c1") == "complete"
    assert report(worker, scope, action, "c2", "failed", status_code=1) == "failed"
    found = get(world.worker(), scope, action)
    assert (found.state, found.counts) == ("failed", {"complete": 1, "failed": 1})
    assert due(worker, scope, "c1") == []
    with pytest.raises(NotFound):
        report(worker, scope, action, "c3")


def test_no_more_members_run_than_may_run_at_the_same_time(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    names = [f"c{n}" for n in range(8)]
    for name in names:
        join(worker, scope, name)
    action = create(worker, scope, max_parallel=2)
    workers = (worker, world.worker())
    running: set[str] = set()
    most = 0

    def start(at: int) -> bool:
        try:
            report(workers[at % 2], scope, action, names[at], "in_progress")
        except Conflict as error:
            if error.code != "action_waiting":
                raise
            return False
        return True

    left = set(range(8))
    while left:
        started = dict(zip(left, threads.map(start, left), strict=True))
        running |= {names[at] for at, done in started.items() if done}
        most = max(most, len(running))
        assert len(running) <= 2
        ended = min(running)  # each end lets one more start, whatever the end is
        if ended == "c3":
            worker.members.depart(scope, ended, "stopped", None, author())
        else:
            report(worker, scope, action, ended, "failed" if ended == "c1" else "complete")
        running.discard(ended)
        left = {at for at in left if names[at] != ended}
    assert most == 2
    found = get(world.worker(), scope, action)
    assert found.counts == {"complete": 6, "failed": 1, "lost": 1}


def test_a_member_that_ends_during_its_run_is_lost_and_may_report_late(
    world: World, worker: Worker, scope: Scope
) -> None:
    for name in ("c1", "c2", "c3"):
        join(worker, scope, name)
    action = create(worker, scope, max_parallel=2)
    report(worker, scope, action, "c1", "in_progress")
    for name in ("c1", "c2"):
        worker.members.depart(scope, name, "stopped", None, author())
    assert states(worker, scope, action) == {"c1": "lost", "c2": "lost", "c3": "due"}
    eventually(lambda: all(run.result for run in get(worker, scope, action).runs[:2]))
    join(worker, scope, "c1")
    join(worker, scope, "c2")
    assert due(worker, scope, "c1") == due(worker, scope, "c2") == []
    assert states(world.worker(), scope, action)["c1"] == "lost"
    assert refusal(worker, scope, action, "c2", "complete") == "action_ended"  # it never began
    assert report(worker, scope, action, "c1", "in_progress", percent=9) == "lost"
    assert report(worker, scope, action, "c1", stdout="late") == "complete"
    report(worker, scope, action, "c3")
    assert get(worker, scope, action).counts == {"complete": 2, "lost": 1}


def test_lost_runs_that_were_not_stored_in_time_leave_nothing_to_write(
    worker: Worker, scope: Scope
) -> None:
    controller = worker.waiter_controller
    controller.stop()
    names = ("c1", "c2", "c3")
    for name in names:
        join(worker, scope, name)
    cancelled, timed_out = create(worker, scope), create(worker, scope, timeout=1)
    report(worker, scope, cancelled, "c1", "in_progress")
    for name in names[:2]:
        worker.members.depart(scope, name, "stopped", None, author())
    worker.services.actions.cancel(scope, cancelled, author())
    eventually(lambda: get(worker, scope, timed_out).state == "timed_out")
    assert not leaves_writes(worker)
    assert states(worker, scope, cancelled) == {"c1": "lost", "c2": "cancelled", "c3": "cancelled"}
    assert states(worker, scope, timed_out) == dict.fromkeys(names, "timed_out")
    worker.members.depart(scope, "c3", "stopped", None, author())
    assert not leaves_writes(worker)


def leaves_writes(worker: Worker) -> bool:
    """Let the waiter controller write; return True if it leaves anything."""
    worker.waiter_controller.run_once()
    state = worker.store.refresh(soon())
    return any(True for _ in state.stacks_needing_write())


def test_the_renewal_of_a_member_does_not_lose_its_run(worker: Worker, scope: Scope) -> None:
    joined = join(worker, scope, "c1")
    action = create(worker, scope)
    report(worker, scope, action, "c1", "in_progress")
    join(worker, scope, "c1", generation=joined.member.generation, rack="r2")
    worker.members.set_state(scope, "c1", "draining", None, author())
    assert states(worker, scope, action) == {"c1": "in_progress"}


def test_a_cancelled_action_starts_nothing_and_ends_what_runs(worker: Worker, scope: Scope) -> None:
    for name in ("c1", "c2", "c3"):
        join(worker, scope, name)
    action = create(worker, scope, max_parallel=2)
    report(worker, scope, action, "c1", "in_progress")
    report(worker, scope, action, "c2")
    found = worker.services.actions.cancel(scope, action, author())
    assert found.counts == {"in_progress": 1, "complete": 1, "cancelled": 1}
    assert worker.services.actions.cancel(scope, action, author()) == found
    assert due(worker, scope, "c3") == []
    assert refusal(worker, scope, action, "c3", "in_progress") == "action_ended"
    assert refusal(worker, scope, action, "c1", "in_progress") == "action_ended"
    assert report(worker, scope, action, "c1", "failed") == "cancelled"
    assert get(worker, scope, action).state == "cancelled"
    ended = create(worker, scope, group=None, member="c1")
    report(worker, scope, ended, "c1")
    with pytest.raises(Conflict) as caught:
        worker.services.actions.cancel(scope, ended, author())
    assert caught.value.code == "action_ended"


def test_a_run_that_does_not_end_in_time_is_timed_out(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for name in ("c1", "c2", "c3", "c4"):
        join(worker, scope, name)
    action = create(worker, scope, max_parallel=3, timeout=2)
    report(worker, scope, action, "c1", "in_progress")
    report(worker, scope, action, "c2", "in_progress")
    service = world.worker().services.actions
    reading = threads.submit(service.get, scope, action, wait=50)
    found = reading.result(60)
    assert (found.state, found.counts) == ("timed_out", {"timed_out": 4})
    assert refusal(worker, scope, action, "c1", "in_progress") == "action_ended"
    assert refusal(worker, scope, action, "c3", "in_progress") == "action_ended"
    assert report(worker, scope, action, "c1", "failed") == "timed_out"  # its agent has ended it
    assert report(worker, scope, action, "c2") == "complete"
    worker.members.depart(scope, "c4", "stopped", None, author())
    assert states(worker, scope, action)["c4"] == "timed_out"


def test_a_deleted_action_leaves_nothing(world: World, worker: Worker, scope: Scope) -> None:
    join(worker, scope, "c1")
    usage = worker.store.refresh(worker.services.clock.monotonic() + 9).usage(scope)
    action = create(worker, scope)
    report(worker, scope, action, "c1")
    worker.services.actions.delete(scope, action, author())
    with pytest.raises(NotFound):
        get(worker, scope, action)
    with pytest.raises(NotFound):
        report(worker, scope, action, "c1")

    def left() -> object:
        return worker.store.refresh(worker.services.clock.monotonic() + 9).usage(scope)

    eventually(lambda: left() == usage)


def test_a_repeated_report_changes_nothing_and_another_end_is_refused(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope, "c1")
    action = create(worker, scope)
    assert report(worker, scope, action, "c1", stdout="x") == "complete"
    head = get(worker, scope, action)
    assert report(worker, scope, action, "c1", stdout="x") == "complete"
    assert get(worker, scope, action) == head
    assert refusal(worker, scope, action, "c1", "failed") == "action_ended"


def test_a_repeated_request_runs_nothing_twice(worker: Worker, scope: Scope) -> None:
    join(worker, scope, "c1")
    key = Idempotency("a" * 64, "b" * 64)
    action = create(worker, scope, key)
    report(worker, scope, action, "c1")
    assert create(worker, scope, key) == action
    assert due(worker, scope, "c1") == []
    with pytest.raises(Conflict) as caught:
        create(worker, scope, Idempotency(key.key, "c" * 64))
    assert caught.value.code == "idempotency_key_reused"


def test_an_action_needs_a_member_that_has_joined(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        create(worker, scope)
    join(worker, scope, "c1")
    for fields in ({"group": "none"}, {"group": None, "member": "c2"}):
        with pytest.raises(Conflict) as caught:
            create(worker, scope, **fields)
        assert caught.value.code == "member_missing"


def test_an_action_makes_no_event_and_wakes_only_its_own_members(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for name in ("c1", "c2"):
        join(worker, scope, name)
    target = worker.convergence.get(scope).target
    service = world.worker().services.actions
    reads: list[str] = []

    def unless(name: str) -> Any:
        def is_idle(runs: Any) -> bool:
            reads.append(name)
            return not runs

        return is_idle

    idle = threads.submit(service.of_member, scope, "c2", wait=50, unless=unless("c2"))
    eventually(lambda: "c2" in reads)
    for _ in range(5):
        action = create(worker, scope, group=None, member="c1")
        report(worker, scope, action, "c1", "in_progress")
        report(worker, scope, action, "c1")
    create(worker, scope)
    assert len(idle.result(60)) == 1
    assert reads.count("c2") == 2
    assert changes_since(worker, scope, target.revision) == []
    assert worker.convergence.get(scope).target == target


def test_a_stack_has_a_limited_number_of_actions(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c1", "c2"):
        join(worker, scope, name)
    for limit in ("ACTIONS_PER_STACK", "ACTION_MEMBERS_PER_STACK"):
        with monkeypatch.context() as patched:
            patched.setattr(f"factstore.core.operations.actions.{limit}", 3)
            actions = [create(worker, scope, group=None, member="c1") for _ in range(3)]
            with pytest.raises(Forbidden) as caught:
                create(worker, scope)
            assert caught.value.extra["quota"] == limit.lower()
            for action in actions:
                worker.services.actions.delete(scope, action, author())
