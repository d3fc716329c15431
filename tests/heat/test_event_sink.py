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


def test_each_unit_joins_and_departs_exactly_once_as_a_policy_scales_its_group(
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


def test_replaced_units_depart_and_their_replacements_join_as_replaced(
    user: Orchestration, facts: Client, name: str
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


def test_a_failed_unit_departs_as_failed(owner: Orchestration, facts: Client, name: str) -> None:
    space = facts.stack(name)
    stack = owner.create(name, group(1, unit=trial()), environment=SNIPPET)
    (unit,) = agree(owner, stack, space)
    events = MemberEvents(space)
    broken = group(1, unit=trial(fail=True))
    owner.update(stack, broken, environment=SNIPPET, expect="UPDATE_FAILED")
    eventually(lambda: not declared(space))
    assert events.seen() == [("member.depart", unit, "failed")]


def test_a_unit_whose_creation_failed_does_not_join(
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


def test_an_agent_that_joins_under_the_same_name_is_the_same_member(
    owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    stack = owner.create(name, group(0), environment=SNIPPET)
    events = MemberEvents(space)
    scale(owner, stack, "up", 2)
    names = agree(owner, stack, space)
    agents = [space.member(unit) for unit in names]
    for agent in agents:
        agent.join("compute", ttl=60, attributes={"cores": 4})
        agent.ready()
    scale(owner, stack, "down", 1)
    (left,) = agree(owner, stack, space)
    seen = events.seen()
    assert once(seen, "member.join", names)
    assert once(seen, "member.depart", list(set(names) - {left}))
    record = space.member(left).show()
    assert (record.state, record.ttl, record.attributes) == ("ready", 60, {"cores": 4})


def test_an_agent_whose_machine_is_deleted_drains_until_it_is_gone(
    owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    slow = trial(action_wait_secs={"delete": 3})
    stack = owner.create(name, group(1, unit=slow), environment=SNIPPET)
    (unit,) = agree(owner, stack, space)
    space.member(unit).join("compute", ttl=60)
    events = MemberEvents(space)
    scale(owner, stack, "down", 0)
    eventually(lambda: not declared(space))
    (change, departure) = events.changes()
    assert change.member is not None
    assert (change.type, change.member.state) == ("member.change", "draining")
    assert (departure.type, departure.reason) == ("member.depart", "scaled_in")


def test_an_agent_that_joined_first_becomes_the_declared_member(
    owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    server = {
        "head": {
            "type": "OS::Heat::DeployedServer",
            "properties": {"name": f"{name}-head", "software_config_transport": "POLL_SERVER_CFN"},
            "depends_on": "late",
        },
        "late": {"type": "OS::Heat::Delay", "properties": {"min_wait": 2}, "depends_on": "bag"},
    }
    stack = owner.create(name, group(0, **server), environment=SNIPPET, expect="")
    eventually(lambda: exists(space))
    events = MemberEvents(space)
    space.member(f"{name}-head").join("login", ttl=60, attributes={"cores": 4})
    owner.wait(stack, "CREATE_COMPLETE", 60)
    eventually(lambda: declared(space))
    record = space.member(f"{name}-head").show()
    assert record.declared == f"heat:{owner.resource(stack, 'head').physical_resource_id}"
    assert (record.group, record.ttl, record.attributes) == ("login", 60, {"cores": 4})
    assert [line[0] for line in events.seen()] == ["member.join", "member.change"]


def test_a_server_outside_groups_is_a_member_by_its_own_name(
    owner: Orchestration, facts: Client, name: str
) -> None:
    server = {
        "head": {
            "type": "My::Server",
            "properties": {"name": f"{name}-head", "software_config_transport": "POLL_SERVER_CFN"},
        }
    }
    mapped = {**SNIPPET, "resource_registry": {"My::Server": "OS::Heat::DeployedServer"}}
    stack = owner.create(name, group(0, **server), environment=mapped)
    space = facts.stack(name)
    eventually(lambda: declared(space))
    (record,) = space.members()
    assert (record.name, record.group, record.reason) == (f"{name}-head", "head", "scaled_out")
    assert record.declared == f"heat:{owner.resource(stack, 'head').physical_resource_id}"
    assert record.attributes == {
        "resource_type": "My::Server",
        "resource_name": "head",
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


def test_properties_of_resources_never_reach_the_service(
    owner: Orchestration, facts: Client, etcd: EtcdServer, heat: HeatServer, name: str
) -> None:
    secret = f"s3cret-{name}"
    unit = {"type": "OS::Heat::TestResource", "properties": {"value": secret}}
    stack = owner.create(name, group(2, unit=unit), environment=SNIPPET)
    agree(owner, stack, facts.stack(name))
    found = stored(etcd, "key", "value")
    assert name.encode() in found
    assert secret.encode() not in found
    assert secret not in heat.log


def test_deleting_a_stack_leaves_nothing_and_creates_nothing_again(
    user: Orchestration, facts: Client, etcd: EtcdServer, engine: HeatServer, name: str
) -> None:
    space = facts.stack(name)
    stack = user.create(name, group(3), environment=SNIPPET)
    agree(user, stack, space)
    identifier = space.describe().id
    warnings = Warnings(engine)
    user.delete(stack)
    assert not exists(space)
    other = user.create(f"{name}-later", group(1), environment=SNIPPET)
    agree(user, other, facts.stack(f"{name}-later"))  # the earlier requests have been processed
    assert not exists(space)
    eventually(lambda: identifier.encode() not in stored(etcd, "key"))
    assert warnings.found() == []
