"""The launch configuration and the data bag that replaces it, as the guide describes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factstore.client import Client, errors
from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.pages import code
from tests.heat.examples import example
from tests.heat.lab.catalogue import Catalogue
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.lab.stubs import Stubs
from tests.service import ApiServer

BEFORE, AFTER = code("how-to/heat-from-launch-configuration.rst", "shell")


@pytest.fixture(scope="module")
def stubs(keystone: KeystoneServer) -> Iterator[None]:
    """A Glance with an image "0" and a Nova with a flavor "0"."""
    with Stubs() as running:
        running.provision(keystone.accounts)
        yield


@pytest.fixture
def environ(heat: HeatServer, keystone: KeystoneServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment that the guide assumes: a shell with the owner's credentials."""
    openrc = tmp_path / "openrc"
    keystone.accounts.write_openrc(openrc, "owner")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # Keystone's catalog contains only the Heat that the lab started last.
    catalogue = Catalogue(keystone.accounts, "heat", "orchestration")
    for interface in ("public", "internal", "admin"):
        catalogue.point(interface, f"{heat.url}/v1/%(tenant_id)s")
    yield {**os.environ, "BASH_ENV": str(openrc), "PATH": path}
    catalogue.restore()


@pytest.fixture
def parameters(heat: HeatServer, keystone: KeystoneServer, name: str) -> Iterator[dict[str, str]]:
    """The parameters with which the kludge's server reads its metadata."""
    accounts = keystone.accounts
    credential = accounts.application_credential("owner", name)
    yield {
        "auth_url": accounts.auth_url,
        "heat_url": f"{heat.url}/v1/{accounts.project_id('owner')}",
        "credential_id": credential.id,
        "credential_secret": credential.secret,
    }
    accounts.delete_application_credential("owner", credential)


class Head:
    """The server of each template.

    :ivar nodes: the facts in the template itself.
    """

    def __init__(self, user: Orchestration, heat: HeatServer, stack: str) -> None:
        shown = user.resource(stack, "head", "first_address")
        self.identifier = shown.physical_resource_id
        self.nodes = {"head": {"ip": shown.attributes["first_address"]}}
        self._file = heat.state_dir / "servers" / self.identifier / "etc" / "facts.json"

    def facts(self, key: str) -> Any:
        """Return the present content of its file."""
        return json.loads(self._file.read_text())[key] if self._file.exists() else None


def run(command: str, environ: dict[str, str]) -> None:
    """Run a command block of the guide."""
    done = subprocess.run(["bash", "-ec", command], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_metadata_of_a_launch_configuration_reaches_a_server_that_polls_and_is_imported(
    owner: Orchestration,
    heat: HeatServer,
    stubs: None,
    service: ApiServer,
    facts: Client,
    environ: dict[str, str],
    parameters: dict[str, str],
    name: str,
) -> None:
    sent = example("kludge.yaml", **parameters)
    script = sent["template"]["resources"]["head"]["properties"]["user_data"]["str_replace"]
    script["template"] = script["template"].replace("sleep 15", "sleep 0.2")
    stack = owner.create(name, **sent)
    head = Head(owner, heat, stack)
    eventually(lambda: head.facts("metadata") == {"nodes": head.nodes, "told": {}})

    run(BEFORE, {**environ, "STACK_NAME": name})
    expected = {"nodes": head.nodes, "told": {"head": "started"}}
    eventually(lambda: head.facts("metadata") == expected, 60)
    owner.wait(stack, "UPDATE_COMPLETE")
    # Another fact requires another launch configuration; the server stays the same.
    made = [each for each in owner.events(stack) if each.resource_name == "facts"]
    assert [each.resource_status for each in made].count("CREATE_COMPLETE") == 2
    assert owner.resource(stack, "head").physical_resource_id == head.identifier

    imports = f"openstack fact import {name} --from-heat-stack {name} facts --kind parameter"
    run(imports, {**environ, "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": service.url})
    bag = facts.stack(name)
    assert bag.context().facts == expected
    assert bag.get("told").kind == "parameter"
    bag.delete_stack()


def test_facts_of_a_data_bag_reach_a_server_that_waits(
    owner: Orchestration,
    heat: HeatServer,
    service: ApiServer,
    keystone: KeystoneServer,
    facts: Client,
    environ: dict[str, str],
    name: str,
) -> None:
    stack = owner.create(name, **example("databag.yaml"))
    head = Head(owner, heat, stack)
    eventually(lambda: head.facts("facts") == {"nodes": head.nodes})

    url = f"{service.url}/v1/stacks/{name}"
    run(AFTER, {**environ, "STACK": url, "TOKEN": keystone.accounts.issue("owner")})
    expected = {"nodes": head.nodes, "told": {"head": "started"}}
    eventually(lambda: head.facts("facts") == expected)
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()
