"""``openstack fact import``, ``export`` and ``copy``, against a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factstore.client import Put, Stack, connect
from factstore.osc import transfers
from factstore.transfer.heat import Get
from tests.agent.test_agent import changes
from tests.http import fresh_stack
from tests.osc.shell import Shell
from tests.service import ApiServer


@pytest.fixture
def other(one_worker: ApiServer) -> Stack:
    """Another stack that does not exist yet."""
    return connect(one_worker.url).stack(fresh_stack())


def imported(openstack: Shell, *arguments: str) -> list[dict[str, Any]]:
    """Return the differences that an import lists."""
    found: list[dict[str, Any]] = json.loads(
        openstack.ok("fact", "import", *arguments, "--report", "json")
    )
    return found


def values(stack: Stack) -> dict[str, Any]:
    return {fact.path: fact.value for fact in stack.snapshot().facts}


def test_an_export_is_imported_with_its_kinds_secrets_waiters_and_alarms(
    openstack: Shell, stack: Stack, other: Stack, tmp_path: Path
) -> None:
    stack.batch([Put("a/b", 1, kind="parameter"), Put("c", "x")])
    stack.batch([Put("p", "geheim", sensitive=True, readers=["group/web"])])
    stack.waiter("w").arm({"signals": 2}, timeout=60)
    stack.alarm("l").set({"facts": "a/b", "at_least": 7}, for_seconds=5)
    file, key = str(tmp_path / "new" / "folder" / "export.json"), str(tmp_path / "key")
    export = ("fact", "export", stack.name, file, "--key", key)
    done = openstack(*export)
    assert (done.status, done.out) == (0, "")
    assert f"created the directory '{tmp_path / 'new'}'" in done.err
    assert openstack.ok(*export) == ""
    assert "geheim" not in Path(file).read_text()

    dry = imported(openstack, other.name, file, "--key", key, "--dry-run")
    assert [(row["path"], row["action"]) for row in dry] == [
        ("a/b", "create"),
        ("c", "create"),
        ("p", "create"),
    ]
    assert "geheim" not in json.dumps(dry)
    openstack.ok("fact", "import", other.name, file, "--key", key)
    assert other.get("p").value == "geheim"
    assert (other.get("a/b").kind, other.get("c").kind) == ("parameter", "observed")
    assert other.waiter("w").show().timeout == 60
    assert other.alarm("l").show().for_seconds == 5
    # A second import changes nothing.
    cursor = other.context().cursor
    assert imported(openstack, other.name, file, "--key", key) == []
    printed = openstack.ok("fact", "import", other.name, file, "--key", key)
    assert printed == "No differences: 3 facts.\n"
    assert changes(other, cursor) == []
    other.put("c", "y")
    (row,) = imported(openstack, other.name, file, "--key", key, "--dry-run")
    assert (row["action"], row["old"], row["new"]) == ("change", "y", "x")


def test_directories_and_other_formats(
    openstack: Shell, stack: Stack, other: Stack, tmp_path: Path
) -> None:
    stack.batch([Put("nodes/c1/ip", "10.0.0.1"), Put("nodes/c1/cpus", 4)])
    bags = str(tmp_path / "bags")
    openstack.ok("fact", "export", stack.name, bags, "--format", "chef-data-bags")
    openstack.ok("fact", "import", other.name, bags, "--format", "chef-data-bags", "--folder", "x")
    assert values(other) == {"x/nodes/c1/ip": "10.0.0.1", "x/nodes/c1/cpus": 4}
    printed = openstack.ok("fact", "export", stack.name, "--format", "consul-kv")
    assert [row["key"] for row in json.loads(printed)] == ["nodes/c1/cpus", "nodes/c1/ip"]
    refused = openstack("fact", "export", stack.name, "--format", "chef-data-bags")
    assert refused.status == 2
    assert "is a directory: name one" in refused.err
    missing = openstack("fact", "import", stack.name, "/missing", "--format", "env")
    assert "/missing: No such file" in missing.err


def test_a_folder_is_copied_to_another_stack_and_folder(
    openstack: Shell, stack: Stack, other: Stack
) -> None:
    stack.batch([Put("db/host", "d", kind="parameter"), Put("db/port", 1), Put("x", 2)])
    stack.put("db/password", "geheim", sensitive=True)
    folder = ("--prefix", "db", "--folder", "e", "-f", "json")
    copied = openstack("fact", "copy", stack.name, other.name, *folder)
    assert [row["Path"] for row in copied.json] == ["e/host", "e/port"]
    assert values(other) == {"e/host": "d", "e/port": 1}
    assert "db/password is left out" in copied.err
    openstack.ok("fact", "copy", stack.name, other.name, "--secrets")
    assert other.get("db/password").value == "geheim"


class Heat:
    """Heat's answers for one stack."""

    def __init__(self) -> None:
        self.metadata = {"realm": "test", "os-collect-config": {"cfn": {"path": "c.Metadata"}}}

    def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        deployment = {
            "server_id": "uuid-1",
            "config_id": "c1",
            "status": "COMPLETE",
            "action": "UPDATE",
            "input_values": {"role": "web"},
            "output_values": {"deploy_status_code": 0, "deploy_stdout": "ok", "url": "http://x"},
        }
        config = {"group": "script", "config": "#!/bin/sh", "outputs": [{"name": "url"}]}
        resources = [
            {"resource_name": n, "physical_resource_id": i, "resource_type": f"OS::{t}"}
            for n, i, t in (
                ("web0", "uuid-1", "Nova::Server"),
                ("install", "d1", "Heat::SoftwareDeployment"),
            )
        ]
        answers = {
            "/stacks/old": {"stack": {"stack_name": "old", "id": "i1"}},
            "/stacks/old/i1/resources/c/metadata": {"metadata": self.metadata},
            "/stacks/old/i1/resources?nested_depth=5": {"resources": resources},
            "/software_deployments/d1": {"software_deployment": deployment},
            "/software_configs/c1": {"software_config": config},
        }
        return answers[path]


def test_metadata_and_deployments_of_a_heat_stack_are_imported(
    openstack: Shell, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    heat = Heat()

    def connected(manager: object) -> Get:
        return heat.get

    monkeypatch.setattr(transfers, "heat_of", connected)
    metadata = (stack.name, "--from-heat-stack", "old", "c")
    listed = openstack.ok("fact", "import", *metadata, "--kind", "parameter")
    assert listed == "create realm: test\n"
    assert values(stack) == {"realm": "test"}
    heat.metadata["realm"] = "prod"
    (row,) = imported(openstack, *metadata)
    assert (row["action"], row["old"], row["new"]) == ("change", "test", "prod")
    assert stack.get("realm").kind == "parameter"
    assert imported(openstack, *metadata) == []

    openstack.ok("fact", "import", stack.name, "--from-software-deployments", "old")
    assert stack.get("configs/web0/install").value == {
        "group": "script",
        "config": "#!/bin/sh",
        "inputs": {"role": "web"},
        "outputs": ["url"],
        "action": "UPDATE",
    }
    assert stack.get("results/web0/install").value == {
        "state": "complete",
        "exit_code": 0,
        "stdout": "ok",
        "outputs": {"url": "http://x"},
    }
