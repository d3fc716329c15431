"""``OS::FactStore::Alarm``: a group scales by a number that its own members publish."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factstore.client import Client, FactstoreError, Stack
from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import LOOPBACK, free_port
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.scaling import SNIPPET, MemberEvents, agree, group
from tests.service import ApiServer, make_notifier

CALM = 0.45
"""A load at which neither alarm is raised or stays raised."""


@pytest.fixture
def notifier(service: ApiServer, heat: HeatServer, tmp_path: Path) -> Iterator[NotifierProcess]:
    """A notifier that may signal this Heat."""
    port, own = free_port(), tmp_path / "notify.conf"
    write_options(own, {"notify": {"host": LOOPBACK, "port": port, "heat_endpoints": heat.cfn_url}})
    process = make_notifier([service.config, own], port, tmp_path / "notify.log")
    process.start()
    try:
        process.wait_ready(60)
        yield process
    finally:
        process.stop()


def alarm(policy: str, **comparison: float) -> dict[str, Any]:
    """Return an alarm that signals a policy, again and again while it is raised."""
    load = {"function": "avg", "result": "load", "group": "compute", **comparison}
    return {
        "type": "OS::FactStore::Alarm",
        "properties": {
            "bag": {"get_resource": "bag"},
            "name": policy,
            "condition": {"aggregate": load},
            "repeat": 5,
            "alarm_actions": [{"get_attr": [policy, "alarm_url"]}],
        },
    }


def work(space: Stack, load: float) -> list[str]:
    """Act as the agent of each member: join, publish a load, and apply the newest context."""
    names = []
    for record in space.members():
        member = space.member(record.name, generation=record.generation)
        with contextlib.suppress(FactstoreError):  # Heat removes a member at any moment
            if record.ttl is None:
                member = space.member(record.name)
                member.join("compute", ttl=3600)
                member.ready()
            space.put(f"results/{record.name}/load", load, ttl=600)
            member.heartbeat(applied=space.context().cursor)
            names.append(record.name)
    return names


def test_a_group_grows_under_load_converges_and_shrinks_when_idle(
    owner: Orchestration, facts: Client, notifier: NotifierProcess, name: str
) -> None:
    space = facts.stack(name)
    template = group(
        1, busy=alarm("up", at_least=0.8, clear=0.5), idle=alarm("down", at_most=0.2, clear=0.4)
    )
    stack = owner.create(name, template, environment=SNIPPET)
    first = agree(owner, stack, space)
    assert len(first) == 1
    events = MemberEvents(space)
    assert [each.name for each in space.alarms()] == ["down", "up"]
    work(space, CALM)

    def grown() -> bool:
        return len(work(space, 0.9)) > 1

    eventually(grown, 90)
    assert space.alarm("up").show().state == "alarm"
    eventually(lambda: work(space, CALM) and space.alarm("up").show().state == "ok", 60)
    members = agree(owner, stack, space, 60)
    eventually(lambda: work(space, CALM) and space.convergence().converged, 60)

    def shrunk() -> bool:
        return len(work(space, 0.1)) < len(members)

    eventually(shrunk, 90)
    eventually(lambda: work(space, CALM) and space.alarm("down").show().state == "ok", 60)

    def consistent() -> bool:
        """Return whether each member joined and departed once; a last signal may be under way."""
        seen = events.seen()
        joined = [member for kind, member, _ in seen if kind == "member.join"]
        departed = [member for kind, member, _ in seen if kind == "member.depart"]
        assert len(joined) == len(set(joined))
        assert len(departed) == len(set(departed))
        assert {reason for kind, _, reason in seen if kind == "member.join"} == {"scaled_out"}
        return {*first, *joined} - set(departed) == set(agree(owner, stack, space, 60))

    eventually(consistent, 60)
    # An update replaces the actions.  Another resource cannot have an alarm's name, and what it created
    # before it failed is deleted with the stack, as are all subscriptions.
    template["resources"]["busy"]["properties"] |= {"alarm_actions": [], "for": 60}
    template["resources"]["twin"] = {**alarm("down", at_most=0.1), "depends_on": "busy"}
    owner.update(stack, template, environment=SNIPPET, expect="UPDATE_FAILED")
    assert "already has an alarm named down" in owner.resource(stack, "twin").resource_status_reason
    assert space.alarm("up").show().for_seconds == 60
    assert {each.alarms for each in facts.subscriptions() if name in each.stacks} == {("down",)}
    owner.delete(stack)
    assert not [each for each in facts.subscriptions() if name in each.stacks]
