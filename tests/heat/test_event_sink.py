"""The event sink: each unit of a real group joins and departs once, with a reason."""

from __future__ import annotations

import pytest

from factstore.client import Client
from factstore.cmd.processes.etcd import EtcdServer
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.scaling import (
    SNIPPET,
    MemberEvents,
    Warnings,
    agree,
    declared,
    exists,
    group,
    nested,
    once,
    scale,
    stored,
    units,
)

LEAVES_STACKS = True  # see conftest.py

UNIT = """
heat_template_version: 2021-04-16
resources:
  word: {type: OS::Heat::RandomString}
outputs:
  name: {value: {get_param: "OS::stack_name"}}
"""

PART = """
heat_template_version: 2021-04-16
resources:
  bag: {type: OS::FactStore::DataBag}
  compute:
    type: OS::Heat::ResourceGroup
    properties:
      count: %d
      resource_def: {type: OS::Heat::RandomString}
"""


def word(length: int) -> dict[str, object]:
    """Return a unit that an update with another length replaces."""
    return {"type": "OS::Heat::RandomString", "properties": {"length": length}}


def trial(**properties: object) -> dict[str, object]:
    """Return a unit that waits or fails as its properties state."""
    return {"type": "OS::Heat::TestResource", "properties": properties}


def test_with_the_legacy_engine_each_unit_joins_and_departs_once_as_a_policy_scales_its_group(
    legacy_owner: Orchestration, facts: Client, name: str
) -> None:
    """In test_alarm.py, alarms do the same with the convergence engine."""
    user, space = legacy_owner, facts.stack(name)
    stack = user.create(name, group(0), environment=SNIPPET)
    events = MemberEvents(space)
    scale(user, stack, "up", 2)
    grown = agree(user, stack, space)
    scale(user, stack, "down", 1)
    left = agree(user, stack, space)
    seen = events.seen()
    assert len(left) == 1
    assert once(seen, "member.join", grown)
    assert once(seen, "member.depart", list(set(grown) - set(left)))
    assert {(type_, reason) for type_, _, reason in seen} == {
        ("member.join", "scaled_out"),
        ("member.depart", "scaled_in"),
    }
    user.delete(stack)
    eventually(lambda: events.ended)


def test_a_unit_that_is_a_nested_stack_is_a_member_by_that_stack_s_name(
    owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    given = {"environment": SNIPPET, "files": {"unit.yaml": UNIT}}
    unit = {"type": "unit.yaml"}
    stack = owner.create(name, group(1, unit=unit), **given)
    first = agree(owner, stack, space)
    events = MemberEvents(space)
    owner.update(stack, group(3, unit=unit), **given)
    grown = agree(owner, stack, space)
    assert grown == sorted(owner.show(unit).stack_name for unit in units(owner, stack).values())
    (record, *_) = space.members()
    assert record.group == "compute"
    assert record.attributes["resource_type"] == "unit.yaml"
    assert record.attributes["resource_name"] in units(owner, stack)
    owner.update(stack, group(1, unit=unit), **given)
    left = agree(owner, stack, space)
    seen = events.seen()
    assert once(seen, "member.join", list(set(grown) - set(first)))
    assert once(seen, "member.depart", list(set(grown) - set(left)))


def test_replaced_units_depart_and_a_deleted_stack_leaves_nothing_and_creates_nothing(
    user: Orchestration, facts: Client, etcd: EtcdServer, engine: HeatServer, name: str
) -> None:
    space = facts.stack(name)
    stack = user.create(name, group(2, unit=word(8)), environment=SNIPPET)
    former = agree(user, stack, space)
    events = MemberEvents(space)
    user.update(stack, group(2, unit=word(9)), environment=SNIPPET)
    present = agree(user, stack, space)
    seen = events.seen()
    assert not set(former) & set(present)
    assert sorted(seen) == sorted(
        [("member.join", unit, "replaced") for unit in present]
        + [("member.depart", unit, "replaced") for unit in former]
    )

    identifier = space.describe().id
    warnings = Warnings(engine)
    user.delete(stack)
    assert not exists(space)
    other = user.create(f"{name}-later", group(1), environment=SNIPPET)
    agree(user, other, facts.stack(f"{name}-later"))  # the earlier requests have been processed
    assert not exists(space)
    eventually(lambda: identifier.encode() not in stored(etcd, "key"))
    assert warnings.found() == []


def test_a_unit_whose_creation_failed_does_not_join_and_one_that_fails_later_departs_as_failed(
    owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    stack = owner.create(name, group(0), environment=SNIPPET)
    events = MemberEvents(space)
    with pytest.raises(StackFailed):
        owner.update(stack, group(2, unit=trial(fail=True)), environment=SNIPPET)
    owner.update(stack, group(1, unit=trial()), environment=SNIPPET)
    (well,) = agree(owner, stack, space)
    assert [line[:2] for line in events.seen()] == [("member.join", well)]

    broken = group(1, unit=trial(fail=True))
    owner.update(stack, broken, environment=SNIPPET, expect="UPDATE_FAILED")
    eventually(lambda: not declared(space))
    assert events.seen()[1:] == [("member.depart", well, "failed")]


def test_an_agent_with_the_name_of_a_unit_is_the_same_member_and_drains_until_its_machine_is_gone(
    owner: Orchestration, facts: Client, etcd: EtcdServer, heat: HeatServer, name: str
) -> None:
    """Properties of the units never reach the service."""
    space, secret = facts.stack(name), f"s3cret-{name}"
    slow = trial(action_wait_secs={"delete": 3}, value=secret)
    stack = owner.create(name, group(0, unit=slow), environment=SNIPPET)
    events = MemberEvents(space)
    scale(owner, stack, "up", 2)
    names = agree(owner, stack, space)
    for agent in (space.member(unit) for unit in names):
        agent.join("compute", ttl=60, attributes={"cores": 4})
        agent.ready()
    before = len(events.changes())
    scale(owner, stack, "down", 1)
    (left,) = agree(owner, stack, space)
    (gone,) = set(names) - {left}
    change, departure = events.changes()[before:]
    assert change.member is not None
    assert (change.type, change.name, change.member.state) == ("member.change", gone, "draining")
    assert (departure.type, departure.name) == ("member.depart", gone)
    assert departure.reason == "scaled_in"
    assert once(events.seen(), "member.join", names)
    record = space.member(left).show()
    assert (record.state, record.ttl, record.attributes) == ("ready", 60, {"cores": 4})

    found = stored(etcd, "key", "value")
    assert name.encode() in found
    assert secret.encode() not in found
    assert secret not in heat.log


def test_a_server_outside_groups_is_a_member_by_its_own_name_also_if_its_agent_joined_first(
    owner: Orchestration, facts: Client, name: str
) -> None:
    def server(own: str, **others: str) -> dict[str, object]:
        properties = {"name": f"{name}-{own}", "software_config_transport": "POLL_SERVER_CFN"}
        return {"type": "My::Server", "properties": properties, **others}

    space = facts.stack(name)
    mapped = {**SNIPPET, "resource_registry": {"My::Server": "OS::Heat::DeployedServer"}}
    late = {"type": "OS::Heat::Delay", "properties": {"min_wait": 2}, "depends_on": "bag"}
    servers = {"head": server("head", depends_on="late"), "login": server("login"), "late": late}
    stack = owner.create(name, group(0, **servers), environment=mapped, expect="")
    eventually(lambda: exists(space))
    events = MemberEvents(space)
    space.member(f"{name}-head").join("login", ttl=60, attributes={"cores": 4})
    owner.wait(stack, "CREATE_COMPLETE")
    eventually(lambda: len(declared(space)) == 2)
    record = space.member(f"{name}-head").show()
    assert record.declared == f"heat:{owner.resource(stack, 'head').physical_resource_id}"
    assert (record.group, record.ttl, record.attributes) == ("login", 60, {"cores": 4})
    seen = [type_ for type_, own, _ in events.seen() if own == f"{name}-head"]
    assert seen == ["member.join", "member.change"]

    record = space.member(f"{name}-login").show()
    assert (record.group, record.reason) == ("login", "scaled_out")
    assert record.declared == f"heat:{owner.resource(stack, 'login').physical_resource_id}"
    assert record.attributes == {
        "resource_type": "My::Server",
        "resource_name": "login",
        "stack": name,
    }


def test_a_group_and_the_fact_space_of_a_nested_stack_are_found(
    owner: Orchestration, facts: Client, name: str
) -> None:
    def part(count: int) -> dict[str, object]:
        return {"environment": SNIPPET, "files": {"part.yaml": PART % count}}

    template = {"heat_template_version": "2021-04-16", "resources": {"part": {"type": "part.yaml"}}}
    space = facts.stack(name)
    stack = owner.create(name, template, **part(1))
    inner = nested(owner, stack, "part")
    first = agree(owner, inner, space)
    events = MemberEvents(space)
    owner.update(stack, template, **part(3))
    grown = agree(owner, inner, space)
    owner.update(stack, template, **part(1))
    assert agree(owner, inner, space) == first
    seen = events.seen()
    assert once(seen, "member.join", list(set(grown) - set(first)))
    assert once(seen, "member.depart", list(set(grown) - set(first)))
