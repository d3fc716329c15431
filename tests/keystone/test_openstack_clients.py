"""Clients of OpenStack show the service's own words for an error, and ours reads their clouds.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
from http import HTTPStatus
from pathlib import Path

import pytest
from keystoneauth1 import adapter
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors

from factstore.client import connect
from factstore.cmd.main import main
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, fresh_stack, refused
from tests.keystone.conftest import Login, with_token
from tests.service import ApiServer

# A plugin as others write them for `openstack`, with a command that reads a URL of a service.
_PLUGIN = '''
from openstack import exceptions
from osc_lib.command import command

API_NAME = "factstore"
API_VERSION_OPTION = "os_factstore_api_version"
API_VERSIONS = {"1": "fact_plugin"}
DEFAULT_API_VERSION = "1"


def build_option_parser(parser):
    return parser


class ShowFact(command.Command):
    """Show a fact"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument("url")
        return parser

    def take_action(self, parsed_args):
        connection = self.app.client_manager.sdk_connection
        answer = connection.session.get(parsed_args.url, raise_exc=False)
        exceptions.raise_from_response(answer)
'''
_ENTRY_POINTS = """\
[openstack.cli.extension]
factstore = fact_plugin

[openstack.factstore.v1]
fact_show = fact_plugin:ShowFact
"""


@pytest.fixture(scope="module")
def session(keystone: KeystoneServer, server: ApiServer) -> adapter.Adapter:
    """A session of keystoneauth for the service."""
    return adapter.Adapter(keystone.accounts.session("owner"), endpoint_override=server.url)


def test_keystoneauth_raises_our_title_and_detail(session: adapter.Adapter, stack: str) -> None:
    session.put(f"{stack}/facts/nodes/head/ip", json={"value": 1})
    with pytest.raises(keystone_errors.Conflict) as caught:
        session.put(f"{stack}/facts/nodes/head", json={"value": 1})
    assert caught.value.message.startswith("The path is a folder (HTTP 409)")
    assert "'nodes/head'" in caught.value.details
    assert caught.value.request_id.startswith("req-")


def test_openstacksdk_raises_our_detail(session: adapter.Adapter, stack: str) -> None:
    answer = session.get(f"{stack}/facts/nodes/head", raise_exc=False)
    with pytest.raises(sdk_errors.NotFoundException) as caught:
        sdk_errors.raise_from_response(answer)
    assert caught.value.details == answer.json()["errors"][0]["detail"]
    assert "nodes/head" in str(caught.value)


def test_the_command_openstack_prints_our_detail(
    keystone: KeystoneServer, server: ApiServer, stack: str, tmp_path: Path
) -> None:
    (tmp_path / "fact_plugin.py").write_text(_PLUGIN)
    about = tmp_path / "fact_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fact-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(_ENTRY_POINTS)
    keystone.accounts.write_clouds(tmp_path / "clouds.yaml", ["owner"])
    answer = subprocess.run(
        [str(shutil.which("openstack")), "fact", "show", f"{server.url}{stack}/facts/nodes/head"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(tmp_path),
            "OS_CLOUD": "owner",
            "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1, answer
    assert "There is no fact at 'nodes/head'" in answer.stderr


def test_a_refusal_in_front_of_the_application_has_the_type_that_the_client_names(
    server: ApiServer, login: Login, anonymous: Caller, stack: str
) -> None:
    named = {"Accept": "application/json, application/problem+json"}
    answer = anonymous.get(stack, headers=named)
    refused(answer, "401 unauthorized", "application/problem+json")
    owner = login("owner")
    only = {"Accept": "application/problem+json"}
    assert owner.put(f"{stack}/facts/a", 1, headers=only).status_code == HTTPStatus.CREATED
    refused(owner.get(f"{stack}/facts/b", headers=only), "404 not_found", only["Accept"])


def test_our_client_and_command_read_the_clouds_of_the_lab(
    keystone: KeystoneServer,
    server: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clouds = tmp_path / "clouds.yaml"
    keystone.accounts.write_clouds(clouds, ["owner", "reader"])
    # The shared Keystone has another address of the service in its catalog.
    override = {"OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": server.url}
    variables = {"OS_CLIENT_CONFIG_FILE": str(clouds), "OS_CLOUD": "owner", **override}
    name = fresh_stack()
    assert connect(variables).stack(name).put("a", 1).value == 1
    assert connect(variables, cloud="reader").stack(name).get("a").value == 1
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert main(["token", "--os-cloud", "reader"]) == 0
    with with_token(server, capsys.readouterr().out.strip()) as reader:
        assert reader.get(f"/v1/stacks/{name}/facts/a").json()["value"] == 1
        refused(reader.put(f"/v1/stacks/{name}/facts/a", 2), "403 forbidden")
