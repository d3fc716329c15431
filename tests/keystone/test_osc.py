"""The real ``openstack`` command, and openstacksdk, with tokens of a real Keystone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import openstack as sdk
import pytest

from factstore.cmd.processes.keystone import KeystoneServer
from factstore.sdk import add_service
from tests.http import fresh_stack
from tests.keystone.conftest import Login
from tests.osc.shell import Shell
from tests.service import ApiServer


def openstack(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    command = shutil.which("openstack", path=str(Path(sys.executable).parent))
    assert command is not None
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return subprocess.run(
        [command, *arguments],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_cloud_with_a_password_and_a_catalog(
    server: ApiServer, keystone: KeystoneServer, tmp_path: Path
) -> None:
    stack = fresh_stack()
    clouds = tmp_path / "clouds.yaml"
    keystone.accounts.write_clouds(clouds, ["owner"])
    variables = {
        "OS_CLIENT_CONFIG_FILE": str(clouds),
        "OS_CLOUD": "owner",
        "OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE": server.url,
    }
    created = openstack("fact", "set", stack, "a", "1", "-f", "json", **variables)
    assert created.returncode == 0, created.stderr
    assert json.loads(created.stdout)["value"] == "1"


def test_the_commands_print_why_a_token_is_not_enough(
    server: ApiServer, login: Login, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/nonexistent/clouds.yaml")
    stack = fresh_stack()
    login("owner").put(f"/v1/stacks/{stack}/facts/a", 1).raise_for_status()
    options = ("--os-auth-type", "admin_token", "--os-endpoint", server.url, "--os-token")
    outsider = Shell(*options, tokens["outsider"]).refused("fact", "get", stack, "a")
    assert f"in a stack named '{stack}'" in outsider
    reader = Shell(*options, tokens["reader"]).refused("fact", "delete", stack, "a")
    assert "Forbidden" not in reader
    assert "contextualization:" in reader


def test_a_connection_of_openstacksdk(
    server: ApiServer, keystone: KeystoneServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds = tmp_path / "clouds.yaml"
    keystone.accounts.write_clouds(clouds, ["owner"])
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    connection = sdk.connect(cloud="owner", contextualization_endpoint_override=server.url)
    add_service(connection)
    stack = fresh_stack()
    connection.contextualization.set_fact(stack, "a", 1)
    found = connection.contextualization.get_fact(stack, "a")
    assert found.updated_by == keystone.accounts.user_id("owner")
