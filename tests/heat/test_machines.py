"""``Lab::Server``, with which the examples run without Nova."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from factstore.client import Client
from factstore.cloud_init import Download
from factstore.heat.resources.agent_config import cloud_config, user_data
from tests.eventually import eventually
from tests.heat.lab.machine import FirstBoot
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.server import HeatServer
from tests.service import ApiServer


def server(user_data: Any, **more: Any) -> dict[str, Any]:
    """Return a template with a server that the environment maps to the lab's."""
    properties = {"name": "head", "image": "debian-12", "flavor": "m1", "user_data": user_data}
    return {
        "heat_template_version": "2021-04-16",
        "resources": {"server": {"type": "OS::Nova::Server", "properties": {**properties, **more}}},
        "outputs": {"ip": {"value": {"get_attr": ["server", "first_address"]}}},
    }


LAB: dict[str, Any] = {"resource_registry": {"OS::Nova::Server": "Lab::Server"}}


@pytest.fixture
def servers(heat: HeatServer) -> Path:
    """The parent of the directories of the lab's servers."""
    return heat.state_dir / "servers"


def text(file: Path) -> str:
    """Return a file's content, or an empty string if it does not exist."""
    return file.read_text() if file.exists() else ""


@pytest.fixture
def grant(facts: Client, name: str) -> str:
    """The token of a grant for c1 in a stack of that name."""
    made = facts.stack(name).issue_grant(member="c1", group="compute")
    assert made.token is not None
    return made.token


def user_data_of(service: ApiServer, name: str, grant: str) -> str:
    """Return the user data of a grant, with a template and a hook."""
    response = requests.head(f"{service.url}/v1/agent", timeout=60)
    digest = response.headers["Factstore-Agent-Sha256"]
    document = cloud_config(
        {"agent": {"stack": name, "group": "compute"}, "service": {"url": service.url}},
        grant,
        settings={
            "react": {"settle": 0.1},
            "template ips": {"source": "ips.j2", "destination": "/etc/ips"},
        },
        download=Download(f"{service.url}/v1/agent", digest),
    )
    template = "{% for node in facts.nodes.values() %}{{ node.ip }}\n{% endfor %}"
    hook = "#!/bin/sh\nset -e\ntest -e /etc/ips\nsystemctl restart slurmd\n"
    document["write_files"] += [
        {"path": "/etc/factstore/templates/ips.j2", "content": template},
        {"path": "/etc/factstore/hooks.d/10", "content": hook, "permissions": "0755"},
    ]
    return user_data(document)


def test_a_server_runs_its_user_data_with_etc_in_its_own_directory(
    owner: Orchestration, servers: Path, name: str
) -> None:
    script = "#!/bin/sh\necho $$ >/etc/pid\nexec sleep 600\n"
    stack = owner.create(name, server(script), environment=LAB)
    directory = servers / owner.resource(stack, "server").physical_resource_id
    pid = int(eventually(lambda: text(directory / "etc" / "pid")))
    owner.delete(stack)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert not directory.exists()


def test_a_server_runs_an_agent_until_it_is_deleted(
    owner: Orchestration, service: ApiServer, facts: Client, grant: str, servers: Path, name: str
) -> None:
    """The user data are a software configuration of several parts, as Heat makes it."""
    template = server({"get_resource": "both"}, name="c1", user_data_format="RAW")
    template["resources"]["both"] = {
        "type": "OS::Heat::MultipartMime",
        "properties": {
            "parts": [
                {"config": user_data_of(service, name, grant)},
                {"config": "#!/bin/sh\ntouch /etc/script-ran\n"},
            ]
        },
    }
    stack = owner.create(name, template, environment=LAB)
    directory = servers / owner.resource(stack, "server").physical_resource_id
    bag = facts.stack(name)
    eventually(lambda: [each.state for each in bag.members()] == ["ready"], 60)
    (member,) = bag.members()
    assert (member.name, member.group) == ("c1", "compute")
    address = owner.output(stack, "ip")
    assert bag.get("nodes/c1/ip").value == address
    assert text(directory / "etc" / "ips") == f"{address}\n"
    commands = text(directory / "systemctl.log").splitlines()
    assert commands[:2] == ["daemon-reload", "enable --now factstore-agent"]
    assert set(commands[2:]) == {"restart slurmd"}
    assert (directory / "etc" / "script-ran").exists()
    agent = int(text(directory / "factstore-agent.pid"))
    owner.delete(stack)
    eventually(lambda: not Path(f"/proc/{agent}").exists())
    assert [each.name for each in bag.members()] == ["c1"]  # nothing reported the end
    bag.delete_stack()


def test_a_server_ends_with_the_process_that_owns_it(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"name": "a", "address": "b", "cpus": 1}))
    (tmp_path / "user_data").write_text("#!/bin/sh\necho $$ >/etc/pid\nexec sleep 600\n")
    program = [sys.executable, "-m", "tests.heat.lab.machine", str(tmp_path)]
    with (
        subprocess.Popen(["sleep", "600"]) as owner,
        subprocess.Popen([*program, str(owner.pid)], start_new_session=True) as machine,
    ):
        try:
            pid = int(eventually(lambda: text(tmp_path / "etc" / "pid")))
            assert machine.poll() is None
        finally:
            owner.kill()
        assert machine.wait(60) < 0
    eventually(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("user_data", "reason"),
    [
        ("echo\n", "cloud-init does not support this user data: 'echo"),
        (
            "#cloud-config\nwrite_files: [{path: /usr/bin/evil, content: x}]\n",
            "/usr/bin/evil would be written outside",
        ),
        (
            "#cloud-config\nwrite_files: [{path: /etc/../../evil, content: x}]\n",
            "would be written outside",
        ),
    ],
)
def test_user_data_that_a_server_cannot_carry_out_are_refused(user_data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        FirstBoot.parse(user_data)
