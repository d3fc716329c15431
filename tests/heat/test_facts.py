"""``OS::FactStore::Facts``: facts whose values are known once other resources exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from heatclient import client as heatclient
from heatclient import exc

from factstore.client import Client, errors
from factstore.cmd.processes.keystone import KeystoneServer
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.service import ApiServer

VERSION = "2021-04-16"
PORTS = Path(__file__).parents[2] / "examples" / "heat" / "ports"

# A substitute for a server: it has user data, and an address once it exists.
SERVER = "OS::Heat::RandomString"


def server(user_data: Any) -> dict[str, Any]:
    return {"type": SERVER, "properties": {"salt": user_data, "length": 12}}


def template(mapping: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A data bag ``bag`` and facts ``facts`` in it."""
    return {
        "heat_template_version": VERSION,
        "resources": {
            "bag": {"type": "OS::FactStore::DataBag"},
            "facts": {
                "type": "OS::FactStore::Facts",
                "properties": {"bag": {"get_resource": "bag"}, "facts": mapping, **properties},
            },
        },
    }


def stored(facts: Client, name: str) -> dict[str, Any]:
    """The values of a stack's facts, by path."""
    return {fact.path: fact.value for fact in facts.stack(name).snapshot().facts}


def test_a_server_receives_the_url_of_the_bag_that_contains_its_own_address(
    owner: Orchestration, facts: Client, service: ApiServer, name: str
) -> None:
    """The circle of the templates of 2013: bag to server to address to bag."""
    url = {"get_attr": ["bag", "url"]}
    circle = template(
        {
            "nodes/head/ip": {"get_attr": ["head", "value"]},
            "nodes/c1/ip": {"get_attr": ["c1", "value"]},
        }
    )
    circle["resources"] |= {"head": server(url), "c1": server(url)}
    circle["outputs"] = {
        "head": {"value": {"get_attr": ["head", "value"]}},
        "c1": {"value": {"get_attr": ["c1", "value"]}},
        "url": {"value": url},
    }
    stack = owner.create(name, circle)
    known = facts.stack(name).context().facts["nodes"]
    assert known["head"]["ip"] == owner.output(stack, "head")
    assert known["c1"]["ip"] == owner.output(stack, "c1")
    event = owner.heat.events.list(stack, "head")[0]
    given = owner.heat.events.get(stack, "head", event.id).resource_properties
    assert given["salt"] == owner.output(stack, "url") == f"{service.url}/v1/stacks/{name}"
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_the_same_circle_with_parameters_of_the_bag_is_refused(
    owner: Orchestration, name: str
) -> None:
    circle = template({})
    circle["resources"]["bag"]["properties"] = {
        "parameters": {"nodes/head/ip": {"get_attr": ["head", "value"]}}
    }
    circle["resources"]["head"] = server({"get_attr": ["bag", "url"]})
    with pytest.raises(exc.HTTPBadRequest, match="Circular Dependency"):
        owner.create(name, circle)


def test_facts_are_observed_added_changed_and_removed(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1, "b": {"deep": [1]}, "c": "x", "gone": None}))
    assert stored(facts, name) == {"a": 1, "b": {"deep": [1]}, "c": "x"}
    assert {fact.kind for fact in facts.stack(name).snapshot().facts} == {"observed"}
    owner.update(stack, template({"a": 2, "b": {"deep": [1]}, "d": "new"}))
    assert stored(facts, name) == {"a": 2, "b": {"deep": [1]}, "d": "new"}


def test_facts_that_an_instance_changed_stay_when_the_template_removes_them(
    owner: Orchestration, facts: Client, name: str
) -> None:
    mapping = {"nodes/h/ip": "10.0.0.5", "nodes/h/port": 22, "nodes/h/name": "h"}
    stack = owner.create(name, template(mapping))
    space = facts.stack(name)
    space.put("nodes/h/ip", "10.0.0.6")
    member = space.member("h")
    record = member.join("head")
    space.put("nodes/h/port", 22, member="h", generation=record.generation)
    owner.update(stack, template({"other": 1}))
    assert stored(facts, name) == {"nodes/h/ip": "10.0.0.6", "nodes/h/port": 22, "other": 1}


def test_deleting_the_resource_deletes_its_facts_and_no_others(
    owner: Orchestration, facts: Client, name: str
) -> None:
    both = template({"a": 1, "b": 2})
    stack = owner.create(name, both)
    facts.stack(name).put("observed", "mine")
    del both["resources"]["facts"]
    owner.update(stack, both)
    assert stored(facts, name) == {"observed": "mine"}


def test_parameters_never_overwrite_observed_facts(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}, kind="parameter"))
    assert facts.stack(name).get("a").kind == "parameter"
    facts.stack(name).put("b", "observed")
    with pytest.raises(StackFailed, match=r"facts of facts cannot .* observed facts exist .*: b\."):
        owner.update(stack, template({"a": 1, "b": 2}, kind="parameter"))
    assert stored(facts, name) == {"a": 1, "b": "observed"}
    owner.update(stack, template({"a": 1, "b": 2}, kind="observed"))
    assert facts.stack(name).get("a").kind == "observed"


def test_sensitive_facts_are_encrypted_and_rewritten_only_if_changed(
    owner: Orchestration, facts: Client, heat: HeatServer, name: str
) -> None:
    key = "s3cret-munge-key"
    stack = owner.create(
        name, template({"munge/key": key}, sensitive=True, readers=["group/compute"])
    )
    fact = facts.stack(name).get("munge/key")
    assert (fact.value, fact.sensitive, fact.readers) == (key, True, ("group/compute",))
    revision = fact.revision
    owner.update(
        stack, template({"munge/key": key, "b": 1}, sensitive=True, readers=["group/compute"])
    )
    assert facts.stack(name).get("munge/key").revision == revision
    owner.update(stack, template({"b": 1}, sensitive=True))
    assert "munge/key" not in stored(facts, name)
    assert key not in heat.log


def test_facts_in_a_missing_bag_are_refused_before_anything_is_created(
    owner: Orchestration, facts: Client, name: str
) -> None:
    only = template({"a": 1}, bag=f"{name}-none")
    with pytest.raises(exc.HTTPBadRequest, match=rf"factstore stack \({name}-none\) could not be"):
        owner.create(name, only)
    with pytest.raises(errors.NotFound):
        facts.stack(f"{name}-none").describe()


def test_facts_in_a_deleted_bag_can_be_deleted_and_do_not_create_the_bag(
    owner: Orchestration, facts: Client, name: str
) -> None:
    facts.stack(f"{name}-hand").put("x", 1)
    alone = template({"a": 1}, bag=f"{name}-hand")
    del alone["resources"]["bag"]
    stack = owner.create(name, alone)
    assert stored(facts, f"{name}-hand") == {"x": 1, "a": 1}
    facts.stack(f"{name}-hand").delete_stack()
    owner.heat.actions.check(stack)
    with pytest.raises(StackFailed, match="does not exist"):
        owner.wait(stack, "CHECK_COMPLETE")
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        facts.stack(f"{name}-hand").describe()


def test_a_second_stack_deletes_only_the_facts_that_it_wrote(
    owner: Orchestration, facts: Client, name: str
) -> None:
    first = owner.create(name, template({"a": 1}))
    alone = template({"b": 2}, bag=name)
    del alone["resources"]["bag"]
    second = owner.create(f"{name}-2", alone)
    assert stored(facts, name) == {"a": 1, "b": 2}
    owner.delete(second)
    assert stored(facts, name) == {"a": 1}
    owner.delete(first)


def test_a_failed_update_rolls_back_facts(owner: Orchestration, facts: Client, name: str) -> None:
    stack = owner.create(name, template({"a": 1, "b": 2}))
    after = template({"a": 9, "c": 3})
    after["resources"]["late"] = {
        "type": "OS::Heat::TestResource",
        "properties": {"fail": True, "value": {"get_resource": "facts"}},
    }
    owner.update(stack, after, expect="ROLLBACK_COMPLETE", disable_rollback=False)
    assert stored(facts, name) == {"a": 1, "b": 2}


def test_a_resource_that_uses_the_facts_attribute_is_created_after_the_facts(
    owner: Orchestration, facts: Client, name: str
) -> None:
    chained = template({"nodes/head/ip": "10.0.0.5"})
    chained["resources"]["after"] = {
        "type": "OS::Heat::Value",
        "properties": {"value": {"get_attr": ["facts", "facts", "nodes", "head", "ip"]}},
    }
    chained["outputs"] = {
        "ip": {"value": {"get_attr": ["after", "value"]}},
        "all": {"value": {"get_attr": ["facts", "facts"]}},
    }
    stack = owner.create(name, chained)
    assert owner.output(stack, "ip") == "10.0.0.5"
    assert owner.output(stack, "all") == {"nodes": {"head": {"ip": "10.0.0.5"}}}


def test_the_ports_that_a_component_exports_are_opened(
    owner: Orchestration, facts: Client, name: str
) -> None:
    """The example is unchanged, except that a security group of the lab replaces Neutron's."""
    text = (PORTS / "stack.yaml").read_text()
    stack = owner.create(
        name,
        text,
        environment={"resource_registry": {"OS::Neutron::SecurityGroup": "Lab::SecurityGroup"}},
        files={"component.yaml": (PORTS / "component.yaml").read_text()},
    )
    rules = owner.output(stack, "rules")
    assert [rule["port_range_min"] for rule in rules] == [6817, 6818]
    assert {rule["protocol"] for rule in rules} == {"tcp"}
    assert stored(facts, name) == {"services/slurm/ports": ["6817", "6818"]}


UNIT = f"""
heat_template_version: '{VERSION}'
parameters: {{bag: {{type: string}}}}
resources:
  node: {{type: OS::Heat::RandomString}}
  told:
    type: OS::FactStore::Facts
    properties:
      bag: {{get_param: bag}}
      facts:
        map_replace:
          - {{nodes/NAME/ip: {{get_attr: [node, value]}}}}
          - keys: {{nodes/NAME/ip: {{str_replace: {{template: nodes/NAME/ip,
              params: {{NAME: {{get_param: 'OS::stack_name'}}}}}}}}}}
"""


def test_facts_of_a_scaled_group_are_written_by_the_trust_of_the_stack(
    facts: Client, heat: HeatServer, keystone: KeystoneServer, name: str
) -> None:
    accounts = keystone.accounts
    creator = accounts.session("owner")
    stacks = Orchestration(creator, heat.url)
    scaled = {
        "heat_template_version": VERSION,
        "resources": {
            "bag": {"type": "OS::FactStore::DataBag"},
            "group": {
                "type": "OS::Heat::AutoScalingGroup",
                "properties": {
                    "min_size": 1,
                    "max_size": 3,
                    "resource": {
                        "type": "unit.yaml",
                        "properties": {"bag": {"get_resource": "bag"}},
                    },
                },
            },
            "out": {
                "type": "OS::Heat::ScalingPolicy",
                "properties": {
                    "adjustment_type": "change_in_capacity",
                    "auto_scaling_group_id": {"get_resource": "group"},
                    "scaling_adjustment": 1,
                    "cooldown": 0,
                },
            },
        },
    }
    stack = stacks.create(name, scaled, files={"unit.yaml": UNIT})
    assert len(stored(facts, name)) == 1
    accounts.revoke(creator.get_token())
    # The signal comes from a user of another project, in which the fact space does not exist.
    url = f"{heat.url}/v1/{accounts.project_id('owner')}"
    admin = heatclient.Client("1", session=accounts.session("admin"), endpoint_override=url)
    admin.resources.signal(stack, "out", data={})
    eventually(lambda: len(stored(facts, name)) == 2, 60)
    owner = accounts.user_id("owner")
    assert {fact.updated_by for fact in facts.stack(name).snapshot().facts} == {owner}
    others = Orchestration(accounts.session("owner"), heat.url)
    others.delete(stack)
