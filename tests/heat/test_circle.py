"""A server's own address as one of the facts that its user data refer to."""

from __future__ import annotations

from typing import Any

import pytest
from heatclient import exc

from tests.heat.examples import example
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer


def address(user: Orchestration, stack: str, server: str) -> Any:
    """Return a server's address from Heat."""
    return user.resource(stack, server, "first_address").attributes["first_address"]


def test_two_servers_receive_their_own_and_each_others_addresses(
    owner: Orchestration, heat: HeatServer, name: str
) -> None:
    stack = owner.create(name, **example("circle.yaml"))
    hosts = "".join(f"{address(owner, stack, server)} {server}\n" for server in ("left", "right"))
    for server in ("left", "right"):
        place = heat.state_dir / "servers" / owner.resource(stack, server).physical_resource_id
        file = place / "etc" / "hosts"
        eventually(lambda file=file: file.exists() and file.read_text().endswith(hosts))


def test_heat_refuses_the_same_facts_as_parameters_of_the_bag(
    owner: Orchestration, name: str
) -> None:
    sent = example("circle.yaml")
    resources = sent["template"]["resources"]
    resources["bag"]["properties"] = {"parameters": resources.pop("facts")["properties"]["facts"]}
    with pytest.raises(exc.HTTPBadRequest, match="Circular Dependency Found"):
        owner.create(name, **sent)
