"""The templates of the documentation work in a real Heat."""

from __future__ import annotations

from typing import Any

import yaml

from factstore.client import Client, Stack, errors
from tests.docs.pages import code
from tests.heat.examples import SERVERS, example
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer

PAGE = "how-to/heat-templates.rst"


def test_the_snippets_of_the_page_form_a_stack(
    owner: Orchestration, heat: HeatServer, facts: Client, name: str
) -> None:
    resources: dict[str, Any] = {}
    for block in code(PAGE, "yaml"):
        resources |= yaml.safe_load(block)
    assert resources.keys() == {"bag", "token_told", "token", "worker"}
    stack = owner.create(
        name,
        {
            "heat_template_version": "2021-04-16",
            "parameters": {"computes": {"type": "number", "default": 3}},
            "resources": resources,
        },
        environment={"resource_registry": SERVERS},
        expect="",
    )
    bag = facts.stack(name)
    waiting = eventually(lambda: owner.resource(stack, "token_told").physical_resource_id, 30)
    assert bag.waiter(waiting).show().state == "pending"
    assert bag.get("cluster/size").value == 3
    bag.put("nodes/head/join-token", "abc")
    owner.wait(stack, "CREATE_COMPLETE", 60)
    worker = heat.state_dir / "servers" / owner.resource(stack, "worker").physical_resource_id
    token = worker / "etc" / "token"
    eventually(lambda: token.exists() and token.read_text() == "abc\n", 30)
    assert bag.get("cluster/size").value == 3


def test_the_smallest_template_is_complete_when_the_service_has_started(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, **example("web.yaml"), expect="")
    bag = facts.stack(name)
    address = eventually(lambda: _value(bag, "nodes/head/ip"), 60)
    assert owner.output(stack, "ip") == address
    assert owner.show(stack).stack_status == "CREATE_IN_PROGRESS"
    bag.put("nodes/head/services/web", "started")
    owner.wait(stack, "CREATE_COMPLETE", 60)


def _value(bag: Stack, path: str) -> Any:
    """Return a fact's value, or None until the fact exists."""
    try:
        return bag.get(path).value
    except errors.NotFound:
        return None
