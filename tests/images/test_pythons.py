"""The agent on each Python of Debian and of this machine, with nothing else installed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from factstore.client import Stack
from tests.images.root import DEBIAN_12, NEWER, OLDEST, Distribution
from tests.service import ApiServer
from tests.zipapp import BARE, pythons

LOCAL = pythons()


def run_once(command: Sequence[str], version: str, stack: Stack) -> None:
    """Run the agent once, and check what it has published and written."""
    done = subprocess.run(command, env=BARE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert stack.get("nodes/c1/cpus").value == 4
    assert stack.get("nodes/c1/python").value == version
    (member,) = stack.members()
    assert (member.name, member.state) == ("c1", "ready")


def configure(directory: Path, stack: Stack, url: str, place: str) -> None:
    """Write a configuration into *directory*, which the agent sees at *place*."""
    files = {
        "agent.conf": f"[agent]\nstack = {stack.name}\nmember = c1\nstate_dir = {place}/state\n"
        f"[service]\nurl = {url}\n[facts]\ndirectory = {place}/facts.d\n"
        f"[react]\nhooks = {place}/hooks.d\n"
        f"[template nodes]\nsource = nodes.j2\ndestination = {place}/nodes\n",
        "facts.d/hardware.yaml": "cpus: 4\n",
        "templates/nodes.j2": "{% for name in facts.nodes %}{{ name }}{% endfor %}\n",
        "hooks.d/10-publish": f'#!/bin/sh\nset -e\ngrep -qx c1 {place}/nodes\ncd "$HOME"\n'
        "python=$(sed -n 's/^exec \\([^ ]*\\) .*/\\1/p' \"$(command -v factstore-agent)\")\n"
        "factstore-agent put python"
        ' "$($python -c \'import sys; print("%d.%d" % sys.version_info[:2])\')"\n',
    }
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if "hooks.d" in name else 0o644)


@pytest.mark.parametrize("version", LOCAL, ids=lambda each: ".".join(map(str, each)))
def test_it_runs_on_a_python_of_this_machine(
    version: tuple[int, int], agent: Path, stack: Stack, service: ApiServer, tmp_path: Path
) -> None:
    configure(tmp_path, stack, service.url, str(tmp_path))
    command = [LOCAL[version], "-IB", str(agent), "--config", f"{tmp_path}/agent.conf"]
    run_once([*command, "run", "--once"], ".".join(map(str, version)), stack)


@pytest.mark.parametrize(
    "distribution", [OLDEST, DEBIAN_12, *NEWER], ids=lambda each: f"{each.suite}-{each.python}"
)
def test_it_runs_on_the_python_of_a_distribution(
    distribution: Distribution, agent: Path, stack: Stack, service: ApiServer, tmp_path: Path
) -> None:
    configure(tmp_path, stack, service.url, "/srv")
    command = [
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay"),
        *("--as-pid2", "--console=pipe", f"--directory={distribution.root()}"),
        *(f"--bind={tmp_path}:/srv", f"--bind-ro={agent}:/usr/bin/factstore-agent"),
        *("/usr/bin/factstore-agent", "--config", "/srv/agent.conf", "run", "--once"),
    ]
    run_once(command, distribution.python, stack)
