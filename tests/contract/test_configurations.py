"""Configurations on every backend: order, dependencies, circles, undeploying, lost members."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from factstore.core.errors import Conflict, Forbidden, Invalid, NotFound
from factstore.core.model import configuration
from factstore.core.model.configuration import ConfigurationDefinition
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.fact import Scope
from factstore.core.model.permissions import Permissions
from factstore.core.state.configuration_view import ConfigurationView
from tests.contract.membership import changes_since, declare, join
from tests.contract.world import Worker, World, author, soon
from tests.eventually import eventually
from tests.unit.core.test_configuration import BODY, RESULT


def put(worker: Worker, scope: Scope, key: str, *depends_on: str, **fields: Any) -> str:
    """Write a configuration; return its id."""
    definition = ConfigurationDefinition.of({**BODY, "depends_on": list(depends_on), **fields})
    service = worker.services.configurations
    view, _, _ = service.put(scope, key, definition, author(), create_only=False)
    return view.configuration.id


def report(
    worker: Worker, scope: Scope, key: str, identifier: str, state: str = "complete", **fields: Any
) -> bool:
    result = ConfigurationResult.of({**RESULT, "id": identifier, "state": state, **fields})
    _, changed, _ = worker.services.configurations.report(scope, key, result, author())
    return changed


def get(worker: Worker, scope: Scope, key: str) -> ConfigurationView:
    return worker.services.configurations.get(scope, key)


def states(worker: Worker, scope: Scope, member: str = "", **options: Any) -> dict[str, str]:
    found = worker.services.configurations.list(
        scope, member, unless=lambda views: False, **options
    )
    return {each.configuration.key: each.state for each in found}


def test_configurations_are_due_when_their_dependencies_are_complete(
    world: World, worker: Worker, scope: Scope
) -> None:
    join(worker, scope, "a")
    second = put(worker, scope, "b/x", "a/x", "a/y")
    first, other = put(worker, scope, "a/y"), put(worker, scope, "a/x")
    expected = {"b/x": "waiting", "a/y": "due", "a/x": "due"}
    for each in (worker, world.worker()):
        assert states(each, scope) == expected
        assert list(states(each, scope, "a")) == ["a/y", "a/x"]
    report(worker, scope, "a/x", other, "failed")
    report(worker, scope, "a/y", first, "in_progress", percent=50)
    assert states(worker, scope) == {"b/x": "waiting", "a/y": "in_progress", "a/x": "failed"}
    assert get(worker, scope, "b/x").waits_for == ("a/x", "a/y")
    report(worker, scope, "a/y", first)
    report(worker, scope, "a/x", put(worker, scope, "a/x", timeout=9))
    assert states(worker, scope) == {"b/x": "due", "a/y": "complete", "a/x": "complete"}
    put(worker, scope, "a/x", timeout=8)
    assert states(worker, scope)["b/x"] == "waiting"
    report(worker, scope, "b/x", second)  # it was running already


def test_of_two_writes_that_would_make_a_circle_together_one_is_refused(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    workers = (worker, world.worker())
    put(worker, scope, "start/x")
    for n in range(20):
        together = Barrier(3)
        keys = [f"m{at}/r{n}" for at in range(3)]

        def write(at: int, together: Barrier = together, keys: list[str] = keys) -> str:
            together.wait(60)
            try:
                put(workers[at % 2], scope, keys[at], keys[(at + 1) % 3])
            except Conflict as error:
                return error.code
            return "written"

        done = [threads.submit(write, at) for at in range(3)]
        assert sorted(each.result(60) for each in done) == [
            "configuration_circle",
            *["written"] * 2,
        ]


def test_an_equal_definition_and_an_equal_report_write_nothing(
    worker: Worker, scope: Scope
) -> None:
    first = put(worker, scope, "a/x")
    report(worker, scope, "a/x", first, "in_progress")
    assert report(worker, scope, "a/x", first)
    head = worker.backend.head(soon())
    assert put(worker, scope, "a/x") == first
    assert not report(worker, scope, "a/x", first)
    assert worker.backend.head(soon()) == head
    with pytest.raises(Conflict) as caught:
        report(worker, scope, "a/x", first, "failed")
    assert caught.value.code == "configuration_ended"


def test_a_changed_configuration_runs_again_in_its_place(worker: Worker, scope: Scope) -> None:
    first = put(worker, scope, "a/x")
    put(worker, scope, "a/y")
    report(worker, scope, "a/x", first)
    again = put(worker, scope, "a/x", config="exit 1")
    assert again != first
    assert list(states(worker, scope)) == ["a/x", "a/y"]
    assert states(worker, scope)["a/x"] == "due"
    assert worker.paths(scope) == ["configs/a/x", "configs/a/y"]  # the result was deleted
    with pytest.raises(Conflict) as caught:
        report(worker, scope, "a/x", first, "in_progress")
    assert (caught.value.code, caught.value.extra) == ("configuration_changed", {"id": again})


def test_configurations_are_undeployed_in_reverse_order(worker: Worker, scope: Scope) -> None:
    ids = {key: put(worker, scope, key, *on) for key, on in (("a/x", ()), ("b/x", ("a/x",)))}
    for key, each in ids.items():
        report(worker, scope, key, each)
    removal = put(worker, scope, "a/x", action="DELETE")
    assert get(worker, scope, "a/x").waits_for == ("b/x",)
    other = put(worker, scope, "b/x", "a/x", action="DELETE")
    assert states(worker, scope) == {"a/x": "waiting", "b/x": "due"}
    report(worker, scope, "b/x", other)
    assert states(worker, scope) == {"a/x": "due", "b/x": "complete"}
    report(worker, scope, "a/x", removal)
    put(worker, scope, "c/x", "a/x")  # not while it is undeployed
    assert states(worker, scope)["c/x"] == "waiting"
    service = worker.services.configurations
    for key in ("a/x", "b/x", "c/x"):
        service.delete(scope, key, author())
    assert worker.paths(scope) == []


def test_a_deployed_dependent_that_is_changed_is_undeployed_first(
    worker: Worker, scope: Scope
) -> None:
    """Whatever a dependent becomes, it holds up the removal until it is replaced or removed."""
    changes: dict[str, dict[str, Any]] = {
        "same": {"on": ("db/x",)},
        "free": {"on": ()},
        "freed": {"on": (), "action": "DELETE"},
    }
    for each in ("db", *changes):
        on = () if each == "db" else ("db/x",)
        report(worker, scope, f"{each}/x", put(worker, scope, f"{each}/x", *on))
    removal = put(worker, scope, "db/x", action="DELETE")
    blocking = tuple(f"{each}/x" for each in changes)
    assert get(worker, scope, "db/x").waits_for == blocking
    ids = {}
    for each, fields in changes.items():
        on = fields.pop("on")
        ids[each] = put(worker, scope, f"{each}/x", *on, timeout=9, **fields)
        assert get(worker, scope, f"{each}/x").deployed
        assert get(worker, scope, "db/x").waits_for == blocking
    report(worker, scope, "free/x", ids["free"], "failed")
    assert "free/x" in get(worker, scope, "db/x").waits_for
    report(worker, scope, "free/x", put(worker, scope, "free/x", timeout=10))
    report(worker, scope, "freed/x", ids["freed"])
    assert get(worker, scope, "db/x").waits_for == ("same/x",)
    ended = {each: get(worker, scope, f"{each}/x").deployed for each in changes}
    assert ended == {"same": True, "free": True, "freed": False}
    report(worker, scope, "same/x", put(worker, scope, "same/x", "db/x", action="DELETE"))
    report(worker, scope, "db/x", removal)
    # What was removed or never begun holds up nothing when it is changed.
    put(worker, scope, "db/x")
    put(worker, scope, "freed/x", "db/x")
    put(worker, scope, "freed/x", "db/x", timeout=9)
    put(worker, scope, "db/x", action="DELETE")
    assert get(worker, scope, "db/x").state == "due"


def test_a_definition_with_another_trigger_runs_again(worker: Worker, scope: Scope) -> None:
    first = put(worker, scope, "a/x", trigger="1")
    report(worker, scope, "a/x", first, "failed")
    assert put(worker, scope, "a/x", trigger="1") == first
    assert put(worker, scope, "a/x", trigger="2") != first
    assert get(worker, scope, "a/x").state == "due"


def test_a_run_is_lost_while_its_member_is_only_declared(worker: Worker, scope: Scope) -> None:
    declare(worker, scope, "a", "i-1")
    report(worker, scope, "a/x", put(worker, scope, "a/x"), "in_progress")
    assert get(worker, scope, "a/x").state == "lost"
    join(worker, scope, "a")
    assert get(worker, scope, "a/x").state == "in_progress"


def test_a_run_is_lost_while_its_member_is_not_there(worker: Worker, scope: Scope) -> None:
    join(worker, scope, "a")
    first = put(worker, scope, "a/x")
    report(worker, scope, "a/x", first, "in_progress")
    worker.members.depart(scope, "a", "stopped", None, author())
    assert get(worker, scope, "a/x").state == "lost"
    join(worker, scope, "a")
    assert get(worker, scope, "a/x").state == "in_progress"


def test_each_report_is_one_event_that_wakes_no_member(worker: Worker, scope: Scope) -> None:
    first = put(worker, scope, "a/x")
    target = worker.convergence.get(scope).target
    report(worker, scope, "a/x", first, "in_progress")
    report(worker, scope, "a/x", first)
    events = changes_since(worker, scope, target.revision)
    paths = [[change.path for change in changes] for changes in events]
    assert paths == [["results/a/x"], ["results/a/x"]]
    assert worker.convergence.get(scope).target == target


def test_a_reader_waits_for_the_end_and_an_agent_for_what_is_due(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    first, other = put(worker, scope, "a/x"), world.worker()
    put(worker, scope, "b/x", "a/x")
    service = other.services.configurations
    reading = other.waiting(threads, service.get, scope, "a/x", wait=100)
    report(worker, scope, "a/x", first)
    assert reading.result(60).state == "complete"
    due = service.list(
        scope, "b", wait=100, unless=lambda views: views[0].state != "due", permissions=AGENT
    )
    assert [each.state for each in due] == ["due"]


def test_a_reader_is_woken_by_what_concerns_configurations_only(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope, "a")
    first, other = put(worker, scope, "a/x"), world.worker()
    seen: list[list[str]] = []

    def unchanged(views: tuple[ConfigurationView, ...]) -> bool:
        seen.append([each.state for each in views])
        return seen[-1] != ["lost"]

    reading = other.waiting(
        threads, other.services.configurations.list, scope, wait=60, unless=unchanged
    )
    for number in range(5):
        worker.put(scope, f"nodes/a/{number}", number)
    report(worker, scope, "a/x", first, "in_progress")
    eventually(lambda: len(seen) == 2)
    worker.put(scope, "nodes/a/1", 2)
    worker.members.depart(scope, "a", "stopped", None, author())
    assert [each.state for each in reading.result(60)] == ["lost"]
    assert seen == [["due"], ["in_progress"], ["lost"]]


def test_a_reader_learns_that_the_stack_was_deleted(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    put(worker, scope, "a/x")
    other = world.worker()
    reading = other.waiting(
        threads, other.services.configurations.list, scope, wait=60, unless=lambda views: True
    )
    worker.services.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        reading.result(60)


AGENT = Permissions("agent", "b")


def test_a_holder_of_a_grant_sees_its_own_configurations_only(worker: Worker, scope: Scope) -> None:
    for key in ("a/x", "b/x", "bb/x"):
        put(worker, scope, key)
    assert list(states(worker, scope, permissions=AGENT)) == ["b/x"]
    assert states(worker, scope, "a", permissions=AGENT) == {}
    assert states(worker, scope, permissions=Permissions("reader")) == {}
    service = worker.services.configurations
    assert service.get(scope, "b/x", permissions=AGENT).state == "due"
    with pytest.raises(Forbidden):
        service.get(scope, "a/x", permissions=AGENT)


def test_a_fact_that_is_no_configuration_is_left_out_and_replaced(
    worker: Worker, scope: Scope
) -> None:
    worker.batch(scope, ["configs/a/x", "configs/a/y/z", "configs/b"])
    assert states(worker, scope) == {}
    put(worker, scope, "a/x")
    assert states(worker, scope) == {"a/x": "due"}
    with pytest.raises(Conflict):
        put(worker, scope, "a/y")


def test_a_stack_has_a_limited_number_of_configurations(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = "factstore.core.operations.configurations.CONFIGURATIONS_PER_STACK"
    monkeypatch.setattr(limit, 2)
    put(worker, scope, "a/x")
    put(worker, scope, "a/y")
    put(worker, scope, "a/y", timeout=9)
    with pytest.raises(Forbidden) as caught:
        put(worker, scope, "a/z")
    assert caught.value.extra == {"quota": "configurations_per_stack", "limit": 2, "used": 2}


def test_the_folder_of_the_agents_own_results_is_reserved(worker: Worker, scope: Scope) -> None:
    with pytest.raises(Invalid):
        put(worker, scope, f"a/{configuration.RESERVED}")
