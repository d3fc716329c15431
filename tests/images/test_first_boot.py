"""The first boot with the user data that are handed out, by the cloud-init of each distribution."""

from __future__ import annotations

import hashlib
import re
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest
import requests
import yaml

from factstore.client import Stack
from factstore.cloud_init import Download
from factstore.heat.resources.agent_config import cloud_config, user_data
from tests.images.container import Container
from tests.images.root import DEBIAN_12, OLDEST, Distribution
from tests.service import ApiServer
from tests.zipapp import ROOT

OWN_KIB = 20 * 1024  # memory of the agent that it shares with no other process
BOOTED = 90.0  # seconds
DISTRIBUTIONS = pytest.mark.parametrize(
    "distribution", [DEBIAN_12, OLDEST], ids=lambda each: each.suite
)
SLURM = ROOT / "examples" / "slurm" / "etc"
SLURMD = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"


def grant(stack: Stack, member: str) -> str:
    token = stack.issue_grant(member=member, group="compute").token
    assert token is not None
    return token


def check_agent(instance: Container, stack: Stack, name: str) -> None:
    """Check that the instance has become a member, uses little memory, and departs when it ends."""

    def ready() -> bool:
        return [(each.name, each.state) for each in stack.members()] == [(name, "ready")]

    instance.wait(ready, BOOTED)
    pid = instance.run("systemctl", "show", "-P", "MainPID", "factstore-agent").strip()
    memory = dict(
        re.findall(r"(?m)^(\w+): +(\d+) kB", instance.run("cat", f"/proc/{pid}/smaps_rollup"))
    )
    assert int(memory["Private_Dirty"]) <= OWN_KIB, memory
    print(instance.run("python3", "--version").strip(), memory)
    instance.run("systemctl", "stop", "factstore-agent")
    instance.wait(lambda: not list(stack.members()))
    journal = instance.journal()
    assert "Traceback" not in journal, journal


@DISTRIBUTIONS
def test_the_shipped_cloud_config_makes_an_instance_a_member(
    distribution: Distribution, agent: Path, service: ApiServer, stack: Stack, tmp_path: Path
) -> None:
    """Only the words that its comment tells people to replace are replaced."""
    text = (ROOT / "etc" / "cloud-init" / "factstore-agent.yaml").read_text()
    for word, value in (
        ("content: GRANT", f"content: {grant(stack, 'node-1')}"),
        ("stack = slurm", f"stack = {stack.name}"),
        ("url = URL", f"url = {service.url}"),
        ('"URL/', f'"{service.url}/'),
        ("=SHA256", f"={hashlib.sha256(agent.read_bytes()).hexdigest()}"),
        ('"SHA256"', f'"{hashlib.sha256(agent.read_bytes()).hexdigest()}"'),
    ):
        assert word in text
        text = text.replace(word, value)
    with Container(distribution.root(), "node-1", tmp_path, user_data=text) as instance:
        check_agent(instance, stack, "node-1")
        hosts = instance.run("cat", "/etc/hosts")
        assert re.search(r"(?m)^[0-9.]+ node-1$", hosts), hosts
        log = instance.run("journalctl", "--no-pager", "-o", "short")
        assert re.search(r"converge(\[\d+\])?: applied", log), log


@DISTRIBUTIONS
def test_an_agent_config_with_the_slurm_example_makes_an_instance_a_node(
    distribution: Distribution, agent: Path, service: ApiServer, stack: Stack, tmp_path: Path
) -> None:
    """The grant's user data are one part; the template and the hook are another, as in Heat."""
    digest = hashlib.sha256(agent.read_bytes()).hexdigest()
    document = cloud_config(
        {"agent": {"stack": stack.name, "group": "compute"}, "service": {"url": service.url}},
        grant(stack, "node-1"),
        settings={
            "template slurm": {"source": "slurm.conf.j2", "destination": "/etc/slurm/slurm.conf"}
        },
        download=Download.of(f"{service.url}/v1/agent?sha256={digest}#sha256={digest}"),
    )
    files = {
        "/etc/factstore/templates/slurm.conf.j2": (SLURM / "templates/slurm.conf.j2").read_text(),
        "/etc/factstore/hooks.d/10-slurm": (SLURM / "hooks.d" / "10-slurm").read_text(),
        "/etc/factstore/facts.d/cpus.yaml": "cpus: 2\n",
        "/etc/systemd/system/slurmd.service": SLURMD,
        "/etc/slurm/README": "as in an image with Slurm\n",
    }
    image = {
        "write_files": [
            {
                "path": path,
                "content": content,
                "permissions": "0755" if "hooks.d" in path else "0644",
            }
            for path, content in files.items()
        ]
    }
    both = MIMEMultipart()
    for part in (f"#cloud-config\n{yaml.safe_dump(image)}", user_data(document)):
        both.attach(MIMEText(part, "cloud-config"))
    head = stack.member("head")
    head.join("head", ttl=600)
    stack.put("nodes/head/ip", "192.0.2.9", member="head", generation=head.generation)
    with Container(distribution.root(), "node-1", tmp_path, user_data=both.as_string()) as instance:
        instance.wait(lambda: len(list(stack.members())) == 2, BOOTED)
        assert stack.wait("nodes/node-1/services/slurmd", timeout=BOOTED).value == "started"
        assert "NodeName=node-1" in instance.run("cat", "/etc/slurm/slurm.conf")
        head.depart()
        check_agent(instance, stack, "node-1")


@DISTRIBUTIONS
def test_vendor_data_make_a_server_a_member_beside_any_user_data(
    distribution: Distribution, agent: Path, service: ApiServer, stack: Stack, tmp_path: Path
) -> None:
    """cloud-init replaces lists of vendor data by those of user data, but runs both scripts."""
    stack.configure()
    server = {
        "project-id": "none",
        "instance-id": "i-node-1",
        "hostname": "node-1",
        "metadata": {"factstore_stack": stack.name, "factstore_group": "compute"},
    }
    answer = requests.post(f"{service.url}/v1/vendordata", json=server, timeout=30)
    user_data = {
        "write_files": [{"path": "/etc/motd", "content": "of the user\n"}],
        "runcmd": [["touch", "/run/by-the-user"]],
    }
    with Container(
        distribution.root(),
        "node-1",
        tmp_path,
        user_data=f"#cloud-config\n{yaml.safe_dump(user_data)}",
        vendor_data=answer.json(),
    ) as instance:
        check_agent(instance, stack, "node-1")
        instance.wait(lambda: instance.run("ls", "/run/by-the-user", check=False))
        assert instance.run("cat", "/etc/motd") == "of the user\n"
        assert instance.run("stat", "-c", "%a", "/etc/factstore/grant").strip() == "600"
