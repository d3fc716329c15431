"""The templates of the documentation work in a real Heat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from factstore.client import Client
from tests.docs.pages import code
from tests.heat.examples import SERVERS, example
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer

PAGE = "how-to/heat-templates.rst"


def test_the_snippets_of_the_page_form_a_stack(
    owner: Orchestration, heat: HeatServer, facts: Client, name: str
) -> None:
    resources: dict[str, Any] = {}
    for block in code(PAGE, "yaml"):
        resources |= yaml.safe_load(block)
    assert resources.keys() == {"bag", "token_published", "token", "worker"}
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
    waiting = eventually(lambda: owner.resource(stack, "token_published").physical_resource_id)
    assert bag.waiter(waiting).show().state == "pending"
    assert bag.get("cluster/size").value == 3
    bag.put("nodes/head/join-token", "abc")
    owner.wait(stack, "CREATE_COMPLETE")
    worker = heat.state_dir / "servers" / owner.resource(stack, "worker").physical_resource_id
    token = worker / "etc" / "token"
    eventually(lambda: token.exists() and token.read_text() == "abc\n")
    assert bag.get("cluster/size").value == 3


def test_the_smallest_template_is_complete_when_its_server_has_started_the_service(
    owner: Orchestration, facts: Client, name: str
) -> None:
    stack = owner.create(name, **example("web.yaml"), expect="")
    owner.wait(stack, "CREATE_COMPLETE")
    bag = facts.stack(name)
    assert bag.get("nodes/web/services/nginx").value == "started"
    assert owner.output(stack, "ip") == bag.get("nodes/web/ip").value


def test_the_smallest_template_shows_who_is_missing_and_fails_when_the_service_fails(
    owner: Orchestration, facts: Client, name: str, tmp_path: Path
) -> None:
    arguments = example("web.yaml")
    hook = arguments["template"]["resources"]["hook"]["properties"]["cloud_config"]["write_files"][
        0
    ]
    starts = "systemctl enable --now nginx"
    assert starts in hook["content"]
    fails = f"! while [ ! -e {tmp_path}/seen ]; do sleep 0.1; done"
    hook["content"] = hook["content"].replace(starts, fails)
    stack = owner.create(name, **arguments, expect="")
    eventually(lambda: owner.output(stack, "missing") == ["web"], 60)
    (tmp_path / "seen").touch()
    with pytest.raises(StackFailed, match=r"WaiterFailed: resources\.ready.*results/web/failure"):
        owner.wait(stack, "CREATE_COMPLETE")
    assert facts.stack(name).get("results/web/failure").value == "nginx did not start"


def test_two_tiers_share_a_password_and_start_in_the_order_that_they_need(
    owner: Orchestration, heat: HeatServer, facts: Client, name: str
) -> None:
    stack = owner.create(name, **example("two-tiers.yaml"), expect="")
    owner.wait(stack, "CREATE_COMPLETE", 120)
    bag = facts.stack(name)
    password = bag.get("secrets/database").value
    assert len(password) == 32
    assert bag.context().facts["secrets"]["database"] is None
    servers = heat.state_dir / "servers"

    def server_file(server: str, path: str) -> Path:
        return servers / owner.resource(stack, server).physical_resource_id / path

    assert server_file("database", "etc/database-password").read_text() == f"{password}\n"
    address = owner.output(stack, "address")
    assert address == bag.get("nodes/application/ip").value
    written = server_file("application", "etc/app.conf")
    assert written.read_text().splitlines() == [
        "# The database is started.",
        f"host={bag.get('nodes/database/ip').value}",
        f"password={password}",
    ]
    assert written.stat().st_mode & 0o777 == 0o600
    assert "restart app" in server_file("application", "systemctl.log").read_text()
