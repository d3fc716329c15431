"""``OS::FactStore::DataBag``: a fact space from its declaration to its deletion."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from heatclient import exc

from factstore.client import Client, errors
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.server import HeatServer

LEAVES_STACKS = True  # see conftest.py

VERSION = "2021-04-16"
BAG = "OS::FactStore::DataBag"


def template(
    parameters: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A template with a data bag ``bag``; ``outputs`` are values by name."""
    properties = {} if parameters is None else {"parameters": parameters}
    bag = {"type": BAG, "properties": {**properties, **fields.pop("properties", {})}, **fields}
    return {
        "heat_template_version": VERSION,
        "resources": {"bag": bag},
        "outputs": {key: {"value": value} for key, value in (outputs or {}).items()},
    }


def stored(facts: Client, name: str) -> dict[str, Any]:
    """The values of a stack's facts, by path."""
    return {fact.path: fact.value for fact in facts.stack(name).snapshot().facts}


def test_a_bag_has_the_name_of_its_stack_and_is_deleted_with_it(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"slurm/partition": "debug", "nodes/count": 4}))
    assert stored(facts, name) == {"slurm/partition": "debug", "nodes/count": 4}
    assert {fact.kind for fact in facts.stack(name).snapshot().facts} == {"parameter"}
    assert owner.resource(stack, "bag").physical_resource_id == name
    facts.stack(name).put("nodes/head/ip", "10.0.0.5")
    facts.stack(name).member("head").join("head")
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_attributes_have_their_present_values_and_null_for_secrets(
    owner: Orchestration, facts: Client, heat: HeatServer, name: str
) -> None:
    read = {
        "url": {"get_attr": ["bag", "url"]},
        "ip": {"get_attr": ["bag", "facts", "nodes", "head", "ip"]},
        "deep": {"get_attr": ["bag", "facts", "nodes", "head", "disks", 0, "size"]},
        "facts": {"get_attr": ["bag", "facts"]},
        "results": {"get_attr": ["bag", "facts", "results", "head"]},
        "context": {"get_attr": ["bag", "context"]},
        "members": {"get_attr": ["bag", "members"]},
        "key": {"get_attr": ["bag", "facts", "munge", "key"]},
        "reference": {"get_resource": "bag"},
    }
    stack = owner.create(name, template({"count": 1}, read))
    assert owner.output(stack, "ip") is None
    space = facts.stack(name)
    space.put("nodes/head/ip", "10.0.0.5")
    space.put("nodes/head/disks", [{"size": 7}])
    space.put("results/head/site", {"state": "complete"})
    space.put("password", "s3cret-word", sensitive=False)
    space.member("head").join("head", attributes={"rack": "r1"})
    assert owner.output(stack, "ip") == "10.0.0.5"
    assert owner.output(stack, "deep") == 7
    assert owner.output(stack, "results") == {"site": {"state": "complete"}}
    assert owner.output(stack, "facts")["count"] == 1
    assert owner.output(stack, "context") == space.context().document
    assert owner.output(stack, "members")["head"]["attributes"] == {"rack": "r1"}
    assert owner.output(stack, "reference") == name
    assert str(owner.output(stack, "url")).endswith(f"/v1/stacks/{name}")
    space.put("nodes/head/ip", "10.0.0.6")
    assert owner.output(stack, "ip") == "10.0.0.6"

    space.put("munge/key", "s3cret-munge", sensitive=True)
    assert owner.output(stack, "facts")["munge"] == {"key": None}
    assert owner.output(stack, "context")["facts"]["munge"] == {"key": None}
    assert owner.output(stack, "key") is None
    assert "attribute facts.munge.key of DataBag" in heat.log  # null values are logged
    assert "s3cret-munge" not in heat.log


def test_an_update_changes_parameters_and_keeps_observed_facts(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1, "b": [1, 2], "c/d": "x"}))
    space = facts.stack(name)
    space.put("observed", "mine")
    space.put("by/hand", "kept", kind="parameter")
    untouched = space.get("b").revision
    owner.update(stack, template({"a": 2, "b": [1, 2], "c": "now a fact", "e": None}))
    assert stored(facts, name) == {
        "a": 2,
        "b": [1, 2],
        "c": "now a fact",
        "observed": "mine",
        "by/hand": "kept",
    }
    assert space.get("b").revision == untouched


def test_1_true_and_a_string_are_different_parameters(
    owner: Orchestration, facts: Client, name: str
) -> None:
    values = [1, True, "1", {"deep": [1, None, {"x": "ü"}]}, False, 0]
    stack = owner.create(name, template({f"n{at}": value for at, value in enumerate(values)}))
    values = [*values[1:], 1]
    owner.update(stack, template({f"n{at}": value for at, value in enumerate(values)}))
    found = stored(facts, name)
    for at, value in enumerate(values):
        fact = found[f"n{at}"]
        assert (type(fact), fact) == (type(value), value)


def test_an_observed_fact_at_the_path_of_a_parameter_fails_the_update(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}))
    facts.stack(name).put("nodes/head/ip", "10.0.0.5")
    with pytest.raises(StackFailed, match=r"observed facts exist at these paths: nodes/head/ip\."):
        owner.update(stack, template({"a": 2, "nodes/head/ip": "10.9.9.9"}))
    assert stored(facts, name) == {"a": 1, "nodes/head/ip": "10.0.0.5"}
    owner.update(stack, template({"a": 3}))
    assert stored(facts, name) == {"a": 3, "nodes/head/ip": "10.0.0.5"}


def test_many_and_large_parameters_are_written_and_deleted_in_several_batches(
    owner: Orchestration, facts: Client, name: str
) -> None:
    many = {f"nodes/n{number}/rank": number for number in range(130)}
    stack = owner.create(name, template(many))
    assert stored(facts, name) == many
    fewer = {path: rank + 1 for path, rank in many.items() if rank < 3}
    grown = {"str_replace": {"template": "x" * 100, "params": {"x": "y" * 600}}}
    owner.update(stack, template({**fewer, **{f"f{number}": grown for number in range(20)}}))
    assert stored(facts, name) == {**fewer, **{f"f{at}": "y" * 60_000 for at in range(20)}}


def test_another_name_creates_another_fact_space(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}))
    owner.update(
        stack, template({"a": 1}, properties={"name": name})
    )  # the default, given explicitly
    assert stored(facts, name) == {"a": 1}
    owner.update(stack, template({"a": 1}, properties={"name": f"{name}-2"}))
    assert stored(facts, f"{name}-2") == {"a": 1}
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_an_existing_fact_space_is_never_taken_over(
    owner: Orchestration, facts: Client, name: str
) -> None:
    facts.stack(name).put("somebody", "else's")
    with pytest.raises(StackFailed, match=f"factstore already has a stack named {name}"):
        stack = owner.create(name, template({"a": 1}))
    stack = owner.show(name).id
    owner.delete(stack)
    assert stored(facts, name) == {"somebody": "else's"}
    facts.stack(name).delete_stack()


def test_two_stacks_never_share_a_bag(owner: Orchestration, facts: Client, name: str) -> None:
    first = owner.create(name, template(properties={"name": f"{name}-bag"}))
    with pytest.raises(StackFailed, match=f"Declared by Heat: resource bag .* of stack {name} "):
        owner.create(f"{name}-2", template(properties={"name": f"{name}-bag"}))
    owner.delete(f"{name}-2")
    assert facts.stack(f"{name}-bag").describe()
    owner.delete(first)
    with pytest.raises(errors.NotFound):
        facts.stack(f"{name}-bag").describe()


def test_an_external_fact_space_is_neither_changed_nor_deleted(
    owner: Orchestration, facts: Client, name: str
) -> None:
    facts.stack(name).put("somebody", "else's")
    read = {"word": {"get_attr": ["bag", "facts", "somebody"]}}
    stack = owner.create(name, template(outputs=read, external_id=name))
    assert owner.output(stack, "word") == "else's"
    owner.delete(stack)
    assert stored(facts, name) == {"somebody": "else's"}
    facts.stack(name).delete_stack()
    with pytest.raises(StackFailed, match="There is no stack named"):
        owner.create(f"{name}-2", template(external_id=name))


def test_suspending_a_stack_keeps_its_facts_and_so_does_deleting_it_with_a_retained_bag(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}, deletion_policy="Retain"))
    owner.heat.actions.suspend(stack)
    owner.wait(stack, "SUSPEND_COMPLETE")
    assert stored(facts, name) == {"a": 1}
    owner.heat.actions.resume(stack)
    owner.wait(stack, "RESUME_COMPLETE")
    assert stored(facts, name) == {"a": 1}
    owner.delete(stack)
    assert stored(facts, name) == {"a": 1}
    facts.stack(name).delete_stack()


def test_a_stack_whose_bag_was_deleted_can_be_deleted(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}))
    facts.stack(name).delete_stack()
    owner.delete(stack)


def test_an_update_creates_a_deleted_bag_again(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1, "b": 2}))
    facts.stack(name).delete_stack()
    owner.update(stack, template({"a": 1, "b": 3}))
    assert stored(facts, name) == {"a": 1, "b": 3}
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_a_fact_space_that_another_client_created_under_the_name_stays_theirs(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}))
    facts.stack(name).delete_stack()
    facts.stack(name).put("somebody", "else's")
    with pytest.raises(StackFailed, match="already"):
        owner.update(stack, template({"a": 2}))
    owner.delete(stack)
    assert stored(facts, name) == {"somebody": "else's"}
    facts.stack(name).delete_stack()


def test_a_failed_update_rolls_back_whole(owner: Orchestration, facts: Client, name: str) -> None:
    before = template({"a": 1, "b": 2})
    stack = owner.create(name, before)
    facts.stack(name).put("zz/observed", 1)
    many = {f"p/n{number:03}": number for number in range(120)}
    after = template({"a": 9, **many})
    after["resources"]["late"] = {
        "type": "OS::Heat::TestResource",
        "properties": {"fail": True, "value": {"get_resource": "bag"}},
    }
    owner.update(stack, after, expect="ROLLBACK_COMPLETE", disable_rollback=False)
    assert stored(facts, name) == {"a": 1, "b": 2, "zz/observed": 1}


def test_facts_that_a_failed_update_wrote_are_deleted_by_the_next_update(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}))
    many = {f"p/n{number:03}": number for number in range(120)}
    with pytest.raises(StackFailed, match="cannot be a fact"):
        owner.update(stack, template({**many, "zz": 1, "zz/below": 2}))
    assert len(stored(facts, name)) > 50
    owner.update(stack, template({"a": 1}))
    assert stored(facts, name) == {"a": 1}


def test_an_invalid_path_fails_the_creation_with_a_reason_and_an_update_repairs_it(
    owner: Orchestration, facts: Client, name: str
) -> None:
    with pytest.raises(StackFailed, match="a segment is 1 to 128 characters"):
        owner.create(name, template({"a": 1, "bad//path": 1}))
    owner.update(name, template({"a": 2}))
    assert stored(facts, name) == {"a": 2}


def test_a_check_reports_facts_that_differ_and_an_update_repairs_them(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1, "b": 2, "c": 3}))
    owner.heat.actions.check(stack)
    owner.wait(stack, "CHECK_COMPLETE")
    facts.stack(name).put("b", 7, kind="parameter")
    facts.stack(name).delete("c")
    owner.heat.actions.check(stack)
    with pytest.raises(StackFailed, match=r"missing or differ from the template: b, c\."):
        owner.wait(stack, "CHECK_COMPLETE")
    owner.update(stack, template({"a": 1, "b": 2, "c": 3}))
    assert stored(facts, name) == {"a": 1, "b": 2, "c": 3}
    facts.stack(name).delete_stack()
    owner.heat.actions.check(stack)
    with pytest.raises(StackFailed, match="does not exist"):
        owner.wait(stack, "CHECK_COMPLETE")
    owner.update(stack, template({"a": 1, "b": 2, "c": 3}))
    assert stored(facts, name) == {"a": 1, "b": 2, "c": 3}


def test_a_bag_in_a_nested_stack_has_the_name_of_the_root_stack(
    owner: Orchestration, facts: Client, name: str
) -> None:
    outer = {
        "heat_template_version": VERSION,
        "resources": {"inner": {"type": "bag.yaml"}},
    }
    inner = f"heat_template_version: '{VERSION}'\nresources: {{bag: {{type: '{BAG}'}}}}\n"
    stack = owner.create(name, outer, files={"bag.yaml": inner})
    assert facts.stack(name).describe().name == name
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_a_name_of_a_root_stack_that_is_too_long_is_refused(
    owner: Orchestration, name: str
) -> None:
    with pytest.raises(StackFailed, match="has 140 characters, and the name of a data bag has 128"):
        owner.create(name.ljust(140, "s"), template())


def test_a_bag_keeps_as_many_values_as_its_template_states(
    owner: Orchestration, facts: Client, name: str
) -> None:
    def keeping(number: int | None) -> dict[str, Any]:
        kept = {} if number is None else {"keep_values": number}
        return template({"a": number}, properties=kept)

    stack = owner.create(name, keeping(3))
    created = facts.stack(name).describe()
    assert created.settings["keep_values"] == 3
    for number, kept in ((2, 2), (None, 2), (0, 0)):
        owner.update(stack, keeping(number))
        found = facts.stack(name).describe()
        assert found.settings == {**created.settings, "keep_values": kept}
    assert found.id == created.id
    facts.stack(name).configure(description=found.settings["description"], keep_values=5)
    owner.heat.actions.check(stack)
    with pytest.raises(StackFailed, match="keeps 5 values instead of 0"):
        owner.wait(stack, "CHECK_COMPLETE")
    owner.update(stack, keeping(1))
    assert facts.stack(name).describe().settings["keep_values"] == 1
    with pytest.raises(exc.HTTPBadRequest, match="11 is out of range"):
        owner.create(f"{name}-2", keeping(11))


def test_an_invalid_name_is_refused_before_anything_is_created(
    owner: Orchestration, name: str
) -> None:
    for bad in ("a/b", "", "ü", "-a", "s" * 129):
        with pytest.raises(exc.HTTPBadRequest, match=r"resources\.bag\.properties\.name"):
            owner.create(name, template(properties={"name": bad}))


def test_the_bag_of_an_abandoned_stack_can_be_adopted(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, template({"a": 1}))
    left = owner.heat.stacks.abandon(stack)
    assert stored(facts, name) == {"a": 1}
    adopted = owner.create(
        f"{name}-2",
        template({"a": 1}, properties={"name": name}),
        adopt_stack_data=json.dumps(left),
        expect="ADOPT_COMPLETE",
    )
    assert owner.resource(adopted, "bag").physical_resource_id == name
    owner.update(adopted, template({"a": 2}, properties={"name": name}))
    assert stored(facts, name) == {"a": 2}
    owner.delete(adopted)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_a_null_value_is_not_written_and_is_logged(
    owner: Orchestration, facts: Client, heat: HeatServer, name: str
) -> None:
    late = {"get_attr": ["bag", "facts", "not", "there"]}
    both = template({"a": 1})
    both["resources"]["told"] = {
        "type": "OS::FactStore::Facts",
        "properties": {"bag": {"get_resource": "bag"}, "facts": {"b": late, "c": 2}},
    }
    owner.create(name, both)
    assert stored(facts, name) == {"a": 1, "c": 2}
    assert re.search(r"Facts .* does not write facts whose value is null: b", heat.log)


def test_an_unknown_attribute_is_refused(owner: Orchestration, name: str) -> None:
    with pytest.raises(Exception, match=r"Attribute \(bag nothing\) is incorrect"):
        owner.create(name, template(outputs={"no": {"get_attr": ["bag", "nothing"]}}))
