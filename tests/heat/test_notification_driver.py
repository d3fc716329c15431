"""An engine that notifies factstore has all stacks heard, whatever their environments say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from factstore.client import Client
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.heat.autoscaling import notification_driver
from factstore.heat.autoscaling.work_queue import Look
from tests.heat.conftest import RESOURCES
from tests.heat.lab.database import DatabaseServer
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.lab.serving import serving
from tests.heat.scaling import Complaints, Watching, agree, exists, group, once, scale, stored
from tests.service import ApiServer

NOTIFYING = {"oslo_messaging_notifications": {"driver": "factstore"}}


@pytest.fixture(scope="module")
def notifying(
    service: ApiServer,
    keystone: KeystoneServer,
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[HeatServer]:
    """A Heat as it comes, but that it notifies factstore."""
    database.create("notifying")
    server = HeatServer(
        tmp_path_factory.mktemp("notifying"),
        keystone,
        plugin_dirs=[RESOURCES],
        convergence=True,
        database=database.url("notifying"),
        options=NOTIFYING,
    )
    with serving(server):
        yield server


@pytest.fixture
def owner(notifying: HeatServer, keystone: KeystoneServer) -> Iterator[Orchestration]:
    user = Orchestration(keystone.accounts.session("owner"), notifying.url)
    yield user
    user.clean()


def test_a_stack_whose_environment_names_no_sink_is_served_by_the_convergence_engine(
    owner: Orchestration, facts: Client, notifying: HeatServer, etcd: EtcdServer, name: str
) -> None:
    space = facts.stack(name)
    complaints = Complaints(notifying)
    stack = owner.create(name, group(1))
    first = agree(owner, stack, space)
    watching = Watching(space)
    scale(owner, stack, "up", 3)  # as the stack's trust
    grown = agree(owner, stack, space)
    scale(owner, stack, "down", 2)
    left = agree(owner, stack, space)
    said = watching.upto_now()
    assert once(said, "member.join", list(set(grown) - set(first)))
    assert once(said, "member.depart", list(set(grown) - set(left)))
    identifier = space.describe().id
    owner.delete(stack)
    eventually(lambda: not exists(space), 20)
    eventually(lambda: identifier.encode() not in stored(etcd, "key"), 20)
    assert complaints.found() == []


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Look]:
    """The looks that are asked for, and not taken."""
    wanted: list[Look] = []
    monkeypatch.setattr(notification_driver.lookout, "want", wanted.append)
    return wanted


def notify(kind: str, payload: Any) -> None:
    """Hand over a notification as oslo.messaging does."""
    driver = notification_driver.FactstoreDriver(None, ["notifications"], None)
    driver.notify({}, {"event_type": kind, "payload": payload}, "INFO", None)


@pytest.mark.parametrize("kind", ["create.end", "update.error", "delete.start", "delete.error"])
def test_a_stack_is_looked_at_when_an_operation_is_over_or_its_deletion_begins(
    looks: list[Look], kind: str
) -> None:
    notify(f"orchestration.stack.{kind}", {"stack_identity": "the-stack"})
    (look,) = looks
    assert (look.stack, look.resource) == ("the-stack", None)
    assert look.context.stack == "the-stack"


@pytest.mark.parametrize(
    "kind",
    [
        "orchestration.stack.update.start",
        "orchestration.stack.delete.end",
        "orchestration.autoscaling.end",
        "image.update",
    ],
)
def test_nothing_is_looked_at_when_nothing_is_over_or_nothing_can_be_done(
    looks: list[Look], kind: str
) -> None:
    notify(kind, {"stack_identity": "the-stack"})
    assert looks == []


@pytest.mark.parametrize("payload", [None, {}, "the-stack"])
def test_a_notification_that_is_not_as_expected_is_a_line_in_the_log(
    looks: list[Look], payload: Any, caplog: pytest.LogCaptureFixture
) -> None:
    notify("orchestration.stack.create.end", payload)
    assert looks == []
    assert "not as expected" in caplog.text
