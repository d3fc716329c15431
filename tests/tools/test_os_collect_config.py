"""The unmodified os-collect-config and its companions work with a stack's context."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.agent.instance import Instance as Agent
from tests.docs.pages import ROOT, code
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.service import ApiServer
from tests.tools.conftest import Slurm
from tests.tools.running import ENVIRON, PAGE, SCRIPTS, collect_once, run

HOOK = ROOT / "examples" / "os-collect-config" / "50-os-collect-config"
(POLLING,) = code(PAGE, "ini")
SCRIPT, EXECUTABLE = code(PAGE, "sh")
NETRC, TEMPLATE = code(PAGE, "text")
SIGHUP_BIT = 1 << signal.SIGHUP - 1


def executable(path: Path, text: str) -> None:
    path.write_text(f"{text}\n")
    path.chmod(0o755)


class Instance:
    """The tools as configured by the guide, in a directory instead of the root of a file system."""

    def __init__(self, root: Path, conf: str, **options: str) -> None:
        """Write all files of the guide below *root*."""
        self.root = root
        self.ran = root / "ran"
        self.conf = root / "os-collect-config.conf"  # it looks in $HOME, and then in /etc
        self.command = f"os-refresh-config --lockfile {root}/lock"
        scripts = root / "usr/libexec/os-refresh-config/configure.d"
        templates = root / "usr/libexec/os-apply-config/templates"
        root.mkdir(exist_ok=True)
        for folder in (scripts, templates / "etc/slurm", root / "var/lib"):
            folder.mkdir(parents=True)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(conf)
        command = parser["DEFAULT"].get("command", "")
        parser["DEFAULT"].update(
            command=command.replace("os-refresh-config", self.command),
            cachedir=f"{root}/var/lib/os-collect-config",
            backup_cachedir=f"{root}/run",
            **options,
        )
        with self.conf.open("w") as file:
            parser.write(file)
        executable(scripts / "50-os-apply-config", f"{SCRIPT} -t {templates} -o {root}")
        executable(
            scripts / "60-count", f"#!/bin/sh\nset -e\ntest ! -e {root}/fail\necho >>{self.ran}"
        )
        (templates / "etc/slurm/head.conf").write_text(f"{TEMPLATE}\n")
        self.env = {
            **ENVIRON,
            "HOME": str(root),
            "OS_REFRESH_CONFIG_BASE_DIR": str(scripts.parent),
        }

    def once(self) -> str:
        """Collect once, and return the log."""
        return collect_once(self.env)

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the tool as a service would."""
        with (self.root / "log").open("wb") as log:
            process = subprocess.Popen(
                [SCRIPTS / "os-collect-config"], env=self.env, stderr=log, stdout=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def runs(self) -> int:
        """Return the number of times that the command has ended."""
        return len(self.ran.read_text().splitlines()) if self.ran.exists() else 0

    def made(self) -> str:
        """Return the file that os-apply-config wrote from the guide's template."""
        return (self.root / "etc/slurm/head.conf").read_text()


def polling(slurm: Slurm, root: Path, **options: str) -> Instance:
    """An instance that polls a stack, as described in the guide."""
    url = "https://controller:8796/v1/stacks/slurm"
    assert url in POLLING
    return Instance(root, POLLING.replace(url, slurm.url), **options)


def asked(api: ApiServer) -> int:
    """Return the number of contexts sent so far."""
    lines = requests.get(f"{api.url}/metrics", timeout=60).text.splitlines()
    counted = [
        line
        for line in lines
        if line.startswith("factstore_requests_total{") and "/context" in line and '"GET"' in line
    ]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in counted)


def test_a_changed_context_runs_the_command_and_an_equal_context_does_not(
    slurm: Slurm, tmp_path: Path
) -> None:
    instance = polling(slurm, tmp_path)
    executable(tmp_path / "usr/libexec/os-apply-config/templates/etc/hosts", EXECUTABLE)
    instance.once()
    assert instance.made() == f"SlurmctldAddr=10.0.0.5\nClusterName={slurm.name}\n"
    assert (tmp_path / "etc/hosts").read_text() == "10.0.0.11\tc1\n10.0.0.5\thead\n"
    collected = json.loads((tmp_path / "var/lib/os-collect-config/request.json").read_text())
    assert collected["self"]["name"] == "c1"
    instance.once()
    slurm.put("nodes/head/ip", "10.0.0.5")  # nothing new
    instance.once()
    assert instance.runs() == 1
    slurm.put("nodes/head/ip", "10.0.0.6")
    instance.once()
    assert instance.runs() == 2
    assert "10.0.0.6" in instance.made()


def test_it_polls_and_takes_up_changes_as_a_service(
    api: ApiServer, slurm: Slurm, tmp_path: Path
) -> None:
    instance = polling(slurm, tmp_path, polling_interval="0.2", min_polling_interval="0.2")
    with instance.daemon():
        eventually(lambda: instance.runs() == 1)
        before = asked(api)
        eventually(lambda: asked(api) > before + 3)
        assert instance.runs() == 1
        slurm.put("nodes/head/ip", "10.0.0.6")
        eventually(lambda: instance.runs() == 2)
        assert "10.0.0.6" in instance.made()


def test_nothing_is_run_while_the_service_refuses_and_a_failed_command_is_run_again(
    slurm: Slurm, tmp_path: Path
) -> None:
    instance = polling(slurm, tmp_path)
    slurm.delete("members/c1")
    assert "Source [request] Unavailable" in instance.once()
    assert instance.runs() == 0
    slurm.join("c1", "compute")
    (tmp_path / "fail").touch()
    with pytest.raises(AssertionError, match="Command failed"):
        instance.once()
    assert instance.runs() == 0
    (tmp_path / "fail").unlink()
    instance.once()
    assert instance.runs() == 1


def test_a_sighup_works_until_the_first_change_and_not_afterwards(
    api: ApiServer, slurm: Slurm, tmp_path: Path
) -> None:
    instance = polling(slurm, tmp_path, polling_interval="300", min_polling_interval="300")
    with instance.daemon() as process:
        eventually(lambda: instance.runs() == 1)
        status = Path(f"/proc/{process.pid}/status").read_text()
        (ignored,) = re.findall(r"^SigIgn:\s*(\w+)$", status, re.MULTILINE)
        assert int(ignored, 16) & SIGHUP_BIT
    # A process that has found only known data does receive it.
    before = asked(api)
    with instance.daemon() as process:
        eventually(lambda: asked(api) > before)
        slurm.put("nodes/head/ip", "10.0.0.6")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: instance.runs() == 2)


def test_with_keystone_a_grant_in_netrc_works_until_it_is_revoked(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Path
) -> None:
    with ApiServer([etcd.endpoint], tmp_path / "api", auth="keystone", keystone=keystone) as server:
        stack = f"{server.url}/v1/stacks/{fresh_stack()}"
        slurm = Slurm(stack, keystone.accounts.issue("owner"))
        grant = slurm.issue(role="agent", member="c1")
        instance = polling(slurm, tmp_path / "instance")
        assert "401" in instance.once()
        netrc = NETRC.replace("controller", "127.0.0.1").replace("GRANT_ID", grant["id"])
        file = tmp_path / "instance" / ".netrc"
        file.touch(mode=0o600)
        file.write_text(netrc.replace("GRANT_SECRET", grant["secret"]))
        instance.once()
        assert instance.runs() == 1
        assert "10.0.0.5" in instance.made()
        slurm.put("nodes/head/ip", "10.0.0.6")
        slurm.delete(f"grants/{grant['id']}")
        log = instance.once()
        assert "401" in log
        assert grant["secret"] not in log
        assert instance.runs() == 1


def test_a_grant_in_the_url_works_and_appears_in_the_log_of_an_error(
    slurm: Slurm, tmp_path: Path
) -> None:
    grant = slurm.issue(role="reader")
    url = slurm.url
    slurm.url = url.replace("http://", f"http://{grant['id']}:{grant['secret']}@")
    instance = polling(slurm, tmp_path)
    assert grant["secret"] not in instance.once()
    assert instance.runs() == 1
    slurm.url = url
    slurm.delete(f"grants/{grant['id']}")
    assert grant["secret"] in instance.once()


# With the hook


class Hooked(Instance):
    """An instance whose hook runs os-collect-config, with a context from a file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, "")
        self.hook = root / "50-os-collect-config"
        text = HOOK.read_text().replace("data=", f"data={root}")
        executable(self.hook, text.replace("os-refresh-config", f"'{self.command}'"))

    def react(self, facts: dict[str, Any]) -> str:
        """Run the hook as the agent does."""
        context = self.root / "context.json"
        context.write_text(json.dumps({"stack": "slurm", "facts": facts, "members": {}}))
        return run(self.hook, env={**self.env, "FACTSTORE_CONTEXT": str(context)}).stderr


def head(ip: object) -> dict[str, Any]:
    return {"nodes": {"head": {"ip": ip}}}


def test_the_hook_runs_the_command_for_a_context_with_any_text_that_is_new(tmp_path: Path) -> None:
    instance = Hooked(tmp_path)
    instance.env["LC_ALL"] = "C"
    # The tool would refuse this directory; the hook mends it.
    data = tmp_path / "var/lib/os-collect-config/local-data"
    data.mkdir(parents=True)
    data.chmod(0o777)
    assert "security" not in instance.react(head("10.0.0.5"))
    instance.react(head("10.0.0.5"))
    assert instance.runs() == 1
    instance.react(head("höst €"))
    assert instance.runs() == 2
    assert instance.made() == "SlurmctldAddr=höst €\nClusterName=slurm\n"


def test_the_hook_fails_with_the_command_so_that_the_agent_tries_again(tmp_path: Path) -> None:
    instance = Hooked(tmp_path)
    instance.env["LC_ALL"] = "C.UTF-8"
    (tmp_path / "fail").touch()
    with pytest.raises(AssertionError, match="Command failed"):
        instance.react(head("höst €"))
    (tmp_path / "fail").unlink()
    instance.react(head("höst €"))
    assert instance.runs() == 1
    assert instance.made() == "SlurmctldAddr=höst €\nClusterName=slurm\n"


def test_the_warnings_of_the_guide_are_true(tmp_path: Path) -> None:
    instance = Hooked(tmp_path)
    instance.react(head(1))
    instance.react(head(True))
    assert instance.runs() == 1
    instance.react(head("a\nSlurmUser=root"))
    assert "SlurmctldAddr=a\nSlurmUser=root\n" in instance.made()
    instance.react(head(None))
    assert instance.made().startswith("SlurmctldAddr=\n")


def test_the_agent_has_the_tool_follow_each_change(
    api: ApiServer, slurm: Slurm, tmp_path: Path
) -> None:
    instance = Hooked(tmp_path / "tools")
    agent = Agent(tmp_path / "agent", api.url, slurm.name, "c1")
    # The agent is started without variables that begin with OS_, so the hook gets them here.
    needed = ("PATH", "HOME", "OS_REFRESH_CONFIG_BASE_DIR")
    exports = [f"export {name}={shlex.quote(instance.env[name])}" for name in needed]
    wrapper = tmp_path / "with-environment"
    executable(wrapper, "\n".join(["#!/bin/sh", *exports, f"exec {instance.hook}"]))
    agent.hook("50-os-collect-config", f"exec {wrapper}")
    agent.start()
    try:
        eventually(lambda: instance.runs() > 0)
        assert "10.0.0.5" in instance.made()
        slurm.put("nodes/head/ip", "10.0.0.6")
        eventually(lambda: "10.0.0.6" in instance.made())
        eventually(lambda: slurm.applied("c1"))
    finally:
        agent.kill()
