"""The notification driver: members match instances in stacks without an event sink."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.client import Client
from factstore.cmd.processes.etcd import EtcdServer
from factstore.heat.autoscaling import notification_driver
from factstore.heat.autoscaling.work_queue import ReconcileRequest
from tests.heat.conftest import NOTIFIED
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.scaling import MemberEvents, Warnings, agree, exists, group, once, scale, stored


def test_the_instances_of_a_stack_without_an_event_sink_are_members(
    user: Orchestration, facts: Client, engine: HeatServer, etcd: EtcdServer, name: str
) -> None:
    space = facts.stack(f"{NOTIFIED}{name}")
    warnings = Warnings(engine)
    stack = user.create(f"{NOTIFIED}{name}", group(1))
    first = agree(user, stack, space)
    events = MemberEvents(space)
    scale(user, stack, "up", 3)  # as the stack's trust
    grown = agree(user, stack, space)
    scale(user, stack, "down", 2)
    left = agree(user, stack, space)
    seen = events.seen()
    assert once(seen, "member.join", list(set(grown) - set(first)))
    assert once(seen, "member.depart", list(set(grown) - set(left)))
    # Heat deletes the trust with the stack, so a late notification of the deletion may be rejected.
    assert warnings.found() == []
    identifier = space.describe().id
    user.delete(stack)
    eventually(lambda: not exists(space))
    eventually(lambda: identifier.encode() not in stored(etcd, "key"))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[ReconcileRequest]:
    """The requests that are added; nothing processes them."""
    added: list[ReconcileRequest] = []
    monkeypatch.setattr(notification_driver.queue, "add", added.append)
    return added


def notify(kind: str, payload: Any) -> None:
    """Send a notification as oslo.messaging does."""
    driver = notification_driver.FactstoreDriver(None, ["notifications"], None)
    driver.notify({}, {"event_type": kind, "payload": payload}, "INFO", None)


@pytest.mark.parametrize("kind", ["create.end", "update.error", "delete.start", "delete.error"])
def test_the_end_of_an_operation_and_the_beginning_of_a_deletion_add_a_request(
    requests: list[ReconcileRequest], kind: str
) -> None:
    notify(f"orchestration.stack.{kind}", {"stack_identity": "the-stack"})
    (request,) = requests
    assert (request.stack_id, request.resource_name) == ("the-stack", None)
    assert request.context.stack_id == "the-stack"


@pytest.mark.parametrize(
    "kind",
    [
        "orchestration.stack.update.start",
        "orchestration.stack.delete.end",
        "orchestration.autoscaling.end",
        "image.update",
    ],
)
def test_other_notifications_add_no_request(requests: list[ReconcileRequest], kind: str) -> None:
    notify(kind, {"stack_identity": "the-stack"})
    assert requests == []


@pytest.mark.parametrize("payload", [None, {}, "the-stack"])
def test_a_notification_of_an_unexpected_form_is_logged(
    requests: list[ReconcileRequest], payload: Any, caplog: pytest.LogCaptureFixture
) -> None:
    notify("orchestration.stack.create.end", payload)
    assert requests == []
    assert "unexpected form" in caplog.text
