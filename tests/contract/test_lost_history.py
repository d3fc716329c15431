"""History that no worker has seen is noted on the waiters and alarms that were set before."""

from __future__ import annotations

from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.definition import Definition
from factstore.core.model.event import Change
from factstore.core.model.fact import Scope
from factstore.core.model.value import encode
from factstore.core.model.waiter import Waiter
from tests.contract.world import (
    EtcdWorld,
    Worker,
    author,
    new_fact,
    open_store,
    publish_all,
    put_all,
    soon,
)
from tests.eventually import eventually

GO = {"facts": "y", "equals": "go"}
LATER = {"facts": "z", "present": True}


def arm(worker: Worker, scope: Scope, name: str, condition: object) -> None:
    definition = Definition.of({"success": condition})
    worker.waiters.put(scope, name, definition, author(), create_only=False)


def set_alarm(worker: Worker, scope: Scope, name: str, condition: object) -> None:
    definition = AlarmDefinition.of({"condition": condition})
    worker.services.alarms.put(scope, name, definition, author(), create_only=False)


def waiter(worker: Worker, scope: Scope, name: str) -> Waiter:
    return worker.waiters.get(scope, name).waiter


def events(worker: Worker, scope: Scope, after: int) -> list[Change]:
    publish_all(worker)
    found = worker.hub.read(scope, worker.cursor(after), events=1000, size=10**7).events
    return [change for event in found for change in event.changes]


def test_lost_history_is_noted_once_and_the_oldest_state_that_is_left_decides(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    first = etcd_world.worker()
    arm(first, scope, "missed", GO)
    arm(first, scope, "held", {"facts": "y", "equals": "past"})
    set_alarm(first, scope, "missed", GO)
    set_alarm(first, scope, "raised", {"facts": "y", "equals": "past"})
    stack = first.stacks.get(scope).stack
    first.waiter_controller.stop()
    first.pump.stop()
    elsewhere = etcd_world.backend()
    open_store(elsewhere)
    for value in ("go", "past"):
        put = put_all(elsewhere, stack, new_fact("y", encode(value)))
    etcd_world.raw.compact(put, deadline=soon())

    one, two = etcd_world.worker(), etcd_world.worker()
    eventually(lambda: waiter(one, scope, "missed").history_lost_at)
    eventually(lambda: waiter(one, scope, "held").state == "met")
    eventually(lambda: one.services.alarms.get(scope, "raised").alarm.state == "alarm")
    missed, held = waiter(two, scope, "missed"), waiter(two, scope, "held")
    assert (missed.state, missed.decided_revision) == ("pending", 0)
    assert held.history_lost_at
    assert held.decided_revision == put
    alarm = two.services.alarms.get(scope, "missed").alarm
    assert alarm.state == "ok"
    assert alarm.history_lost_at
    told = sorted(
        (change.type, change.record.name)  # type: ignore[union-attr]
        for change in events(one, scope, put)
        if change.type.startswith(("waiter.", "alarm."))
    )
    assert told == [
        ("alarm.history_lost", "missed"),
        ("alarm.raised", "raised"),
        ("waiter.history_lost", "missed"),
        ("waiter.met", "held"),
    ]
    # A waiter that is armed again, or later, has lost nothing.
    arm(one, scope, "missed", LATER)
    assert waiter(one, scope, "missed").history_lost_at is None
    one.put(scope, "z")
    eventually(lambda: waiter(one, scope, "missed").state == "met")
