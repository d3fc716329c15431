"""The legacy engine, where it differs from the convergence engine."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.client import Client
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.scaling import SNIPPET, MemberEvents, agree, group
from tests.heat.templates import attributes, inside, template


def failing(fail: bool) -> dict[str, Any]:
    """Return a unit that fails on request."""
    return {"type": "OS::Heat::TestResource", "properties": {"fail": fail}}


def test_the_debug_log_of_heat_contains_no_grants(
    legacy_owner: Orchestration, legacy: HeatServer, facts: Client, name: str
) -> None:
    resources = {
        "grant": inside("Grant", member="head"),
        "fact": inside("Fact", path="nodes/c1/ip"),
        "waiter": inside("Waiter", name="ready"),
    }
    commands = {each: {"get_attr": [each, "curl_cli"]} for each in resources}
    shown = attributes("grant", "url", "token", "agent_config")
    stack = legacy_owner.create(name, template(resources, {**commands, **shown}), expect="")
    command = eventually(lambda: legacy_owner.output(stack, "waiter"), 60)
    facts.stack(name).waiter("ready").signal()
    legacy_owner.wait(stack, "CREATE_COMPLETE", 60)
    held = [command, legacy_owner.output(stack, "grant"), legacy_owner.output(stack, "fact")]
    for each in shown:
        assert legacy_owner.output(stack, each)
    legacy_owner.delete(stack)
    assert " DEBUG " in legacy.log
    for secret in (each.split("-u ")[1].split()[0].partition(":")[2] for each in held):
        assert len(secret) > 30
        assert secret not in legacy.log


def test_the_failure_of_another_resource_ends_the_wait(
    legacy_owner: Orchestration, facts: Client, name: str
) -> None:
    never = {"facts": "never", "present": True}
    failing = {
        "type": "OS::Heat::TestResource",
        "properties": {"fail": True, "action_wait_secs": {"create": 4}},
    }
    ready = inside("Waiter", name="ready", success=never)
    document = template({"ready": ready, "other": failing})
    stack = legacy_owner.create(name, document, expect="")
    eventually(lambda: legacy_owner.resource(stack, "ready").physical_resource_id)
    with pytest.raises(StackFailed, match=r"CREATE_FAILED.*resources\.other"):
        legacy_owner.wait(stack, "CREATE_COMPLETE", 60)  # Heat's grace is four minutes
    assert "aborted" in legacy_owner.resource(stack, "ready").resource_status_reason


def test_the_replacement_of_a_failed_unit_joins_as_replaced(
    legacy_owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(name)
    stack = legacy_owner.create(name, group(1, unit=failing(False)), environment=SNIPPET)
    (first,) = agree(legacy_owner, stack, space)
    events = MemberEvents(space)
    broken = group(1, unit=failing(True))
    legacy_owner.update(stack, broken, environment=SNIPPET, expect="UPDATE_FAILED")
    legacy_owner.update(stack, group(1, unit=failing(False)), environment=SNIPPET)
    (second,) = agree(legacy_owner, stack, space)
    assert events.seen() == [
        ("member.depart", first, "failed"),
        ("member.join", second, "replaced"),
    ]


def test_the_bag_of_a_replaced_or_rolled_back_resource_has_the_name_of_the_stack(
    legacy_owner: Orchestration, facts: Client, name: str
) -> None:
    """The engine moves a resource that it replaces to a backup stack named ``NAME*``."""

    def bag(**parameters: int) -> dict[str, Any]:
        properties = {"parameters": parameters}
        return {"type": "OS::FactStore::DataBag", "properties": properties}

    def stored() -> dict[str, Any]:
        return {fact.path: fact.value for fact in facts.stack(name).snapshot().facts}

    document = {"heat_template_version": "2021-04-16", "resources": {"bag": bag(a=1)}}
    stack = legacy_owner.create(name, document)
    facts.stack(name).delete_stack()
    legacy_owner.update(stack, {**document, "resources": {"bag": bag(a=1, b=2)}})
    assert stored() == {"a": 1, "b": 2}
    late = {
        "type": "OS::Heat::TestResource",
        "properties": {"fail": True, "value": {"get_resource": "bag"}},
    }
    after = {**document, "resources": {"bag": bag(a=9, c=3), "late": late}}
    legacy_owner.update(stack, after, expect="ROLLBACK_COMPLETE", disable_rollback=False)
    assert stored() == {"a": 1, "b": 2}
