"""Alarms on several workers: each edge is one event, which all of them deliver."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from factstore.core.model.alarm import Alarm, AlarmState
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest
from factstore.core.services.watch_filter import Filter
from tests.contract.world import TIMEOUT, Worker, World, author, soon

BUSY = {"aggregate": {"function": "avg", "fact": "load", "group": "web", "at_least": 8, "clear": 5}}


def put_alarm(worker: Worker, scope: Scope, condition: Any = BUSY, **more: Any) -> Alarm:
    definition = AlarmDefinition.of({"condition": condition, **more})
    return worker.services.alarms.put(scope, "busy", definition, author(), create_only=False)[
        0
    ].alarm


def reach(worker: Worker, scope: Scope, state: AlarmState) -> Alarm:
    """Wait until the alarm has a state, and return it."""
    found = worker.services.alarms.get(
        scope, "busy", wait=TIMEOUT, unless=lambda shown: shown.alarm.state != state
    ).alarm
    assert found.state == state, found
    return found


def edges(worker: Worker, scope: Scope, since: int) -> list[tuple[str, object]]:
    """Return the types and numbers of the events of alarms after a revision, in order."""
    cursor, upto = worker.cursor(since), worker.store.refresh(soon()).revision
    found: list[tuple[str, object]] = []
    while cursor.revision < upto:  # the hub may lag
        page = worker.watch.poll(scope, cursor, 1, Filter())
        for event in page.events:
            for change in event.changes:
                if isinstance(change.record, Alarm):
                    found.append((change.type, change.record.value))
        cursor = page.next
    return found


def same_everywhere(
    workers: Iterable[Worker], scope: Scope, since: int
) -> list[tuple[str, object]]:
    first, *others = (edges(worker, scope, since) for worker in workers)
    assert all(other == first for other in others)
    return first


def join(worker: Worker, scope: Scope, name: str, load: float) -> None:
    member = worker.members.join(scope, name, JoinRequest.of("web"), author()).member
    worker.put(scope, f"nodes/{name}/load", load, member=name, generation=member.generation)


def test_each_edge_is_one_event_on_all_workers_whatever_members_do(
    world: World, scope: Scope
) -> None:
    one, two = world.worker(), world.worker()
    start = one.put(scope, "start").revision
    put_alarm(one, scope, no_data="no_data")
    reach(two, scope, "no_data")
    join(one, scope, "w1", 9)
    assert reach(two, scope, "alarm").value == 9
    join(two, scope, "w2", 3)  # the average is 6, above clear
    join(two, scope, "w3", 1)  # and now 4.33
    assert round(reach(one, scope, "ok").value or 0, 2) == 4.33
    for name in ("w2", "w3"):
        two.members.depart(scope, name, "scaled down", None, author())
    assert reach(one, scope, "alarm").value == 9
    one.members.depart(scope, "w1", "scaled down", None, author())
    late = world.worker()
    reach(late, scope, "no_data")
    kinds = [kind for kind, _ in same_everywhere([one, two], scope, start)]
    assert kinds == [
        f"alarm.{kind}" for kind in ("no_data", "raised", "cleared", "raised", "no_data")
    ]


def test_the_time_of_a_change_continues_while_no_worker_runs(world: World, scope: Scope) -> None:
    early = world.worker()
    start = early.put(scope, "load", 9).revision
    put_alarm(early, scope, {"facts": "load", "at_least": 8}, **{"for": 1, "quiet": 3600})
    early.services.alarms.get(
        scope, "busy", wait=TIMEOUT, unless=lambda shown: shown.alarm.pending is None
    )
    early.waiter_controller.stop()
    late = world.worker()
    reach(late, scope, "alarm")
    late.put(scope, "load", 1)
    # The quiet time prevents another edge, on any worker.
    assert same_everywhere([early, late], scope, start) == [("alarm.raised", None)]
