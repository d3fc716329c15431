"""The packages of the agent, installed and started."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from factstore.client import Stack
from tests.images.container import Container
from tests.images.root import DEBIAN_12, OLDEST, Distribution
from tests.service import ApiServer
from tests.zipapp import ROOT

FILES = {
    "/usr/bin/factstore-agent",
    "/usr/lib/systemd/system/factstore-agent.service",
    "/usr/lib/systemd/system/factstore-agent@.service",
    "/usr/lib/sysusers.d/factstore-agent.conf",
    "/usr/share/bash-completion/completions/factstore-agent",
    "/usr/share/doc/factstore-agent/copyright",
}

_COMPLETE = """
. /usr/share/bash-completion/completions/factstore-agent
COMP_WORDS=(factstore-agent --) COMP_CWORD=1; _factstore_agent; echo "${COMPREPLY[@]::2}"
"""


def package(kind: str, directory: Path) -> Path:
    """Build a package."""
    command = [sys.executable, str(ROOT / "tools" / "agent_packages.py"), kind, str(directory)]
    return Path(subprocess.check_output(command, text=True).strip())


def states(stack: Stack) -> dict[str, str]:
    """Return the states of the members."""
    return {each.name: each.state for each in stack.members()}


@pytest.mark.parametrize("distribution", [DEBIAN_12, OLDEST], ids=lambda each: each.suite)
def test_a_package_for_debian_runs_agents_of_two_stacks(
    distribution: Distribution, stack: Stack, service: ApiServer, tmp_path: Path
) -> None:
    file = package("deb", tmp_path)
    with Container(distribution.root(), "c1", tmp_path) as c1:
        c1.write("/run/agent.deb", file.read_bytes())
        c1.run("dpkg", "-i", "/run/agent.deb")
        assert c1.run("systemctl", "is-active", "factstore-agent", check=False) == "inactive\n"
        assert "factstore-agent" in c1.run("getent", "passwd", "factstore-agent")
        more = "state_dir = /var/lib/factstore-agent-second\n"
        for name, place, option in (
            ("factstore-agent", "/etc/factstore", ""),
            ("factstore-agent@second", "/etc/factstore/second", f"member = c2\n{more}"),
        ):
            c1.run("mkdir", "-p", place)
            c1.write(
                f"{place}/agent.conf",
                f"[agent]\nstack = {stack.name}\n{option}[service]\nurl = {service.url}\n".encode(),
            )
            c1.run("systemctl", "enable", "--now", name)
        c1.wait(lambda: states(stack) == {"c1": "ready", "c2": "ready"})
        c1.run("factstore-agent", "put", "said", "yes")
        assert stack.get("nodes/c1/said").value == "yes"
        before = [member.generation for member in stack.members()]
        c1.run("dpkg", "-i", "/run/agent.deb")  # an update
        c1.wait(lambda: c1.journal().count("restarting as the same member") == 2)
        c1.wait(lambda: c1.run("systemctl", "is-active", "factstore-agent") == "active\n")
        assert [member.generation for member in stack.members()] == before
        assert c1.run("bash", "-c", _COMPLETE).split() == ["--config", "--debug"]
        c1.run("dpkg", "-r", "factstore-agent")
        c1.wait(lambda: not states(stack))


@pytest.mark.parametrize("distribution", [OLDEST], ids=lambda each: each.suite)
def test_a_package_for_rpm_contains_the_same_files_and_runs(
    distribution: Distribution, tmp_path: Path
) -> None:
    file = package("rpm", tmp_path)
    listed = subprocess.check_output(["rpm", "-qpl", file], text=True).split()
    assert {name for name in listed if not name.startswith("/etc/")} == FILES
    assert "/etc/factstore/hooks.d" in listed
    requires = subprocess.check_output(["rpm", "-qp", "--requires", file], text=True)
    assert "python3 >= 3.9\n" in requires
    assert "python(abi)" not in requires  # a later Python runs it too
    subprocess.run(["rpm2archive", file], check=True)
    with tarfile.open(f"{file}.tgz") as archive:
        member = archive.extractfile("./usr/bin/factstore-agent")
        assert member is not None
        program = member.read()
    with Container(distribution.root(), "c1", tmp_path) as c1:
        c1.write("/run/factstore-agent", program)
        c1.run("chmod", "755", "/run/factstore-agent")
        assert c1.run("/run/factstore-agent", "--version").startswith("factstore-agent ")
