"""Agents that are killed, and outages of the service."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.agent.errors import EXIT_UNAVAILABLE
from factstore.client import Stack, errors
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from tests.agent.conftest import Make, stack_of
from tests.agent.instance import Instance, environ
from tests.agent.test_agent import converged
from tests.eventually import eventually
from tests.processes import alive
from tests.service import ApiServer

STATE = "factstore.agent.system.state_dir:StateDir.write"
POINTS = {
    "before it joins": ("factstore.client.member:Member.join", ""),
    "before its generation is stored": (STATE, "'member'"),
    "before published paths are stored": (STATE, "'published', {'boot_id'"),
    "before it publishes": ("factstore.client.facts:Facts.batch", ""),
    "before the context is stored": (STATE, "'kept'"),
    "before a file is replaced": ("os:replace", "c1/nodes"),
    "before a hook": ("factstore.agent.apply.program_runner:run_program", "10-apply"),
    "before the applied context is recorded": (STATE, "'applied'"),
    "before it is ready": ("factstore.client.member:Member.ready", ""),
    "before it reports the applied cursor": (
        "factstore.client.member:Member.heartbeat",
        "'applied': '",
    ),
}


@pytest.mark.parametrize("point", POINTS)
def test_an_agent_that_is_killed_at_any_point_recovers(
    stack: Stack, make: Make, point: str
) -> None:
    target, word = POINTS[point]
    c1 = make("c1", ttl=10)
    c1.fact(cpus=4)
    argv = [sys.executable, "-m", "tests.agent.crashes", target, word]
    c1.child.start(
        [*argv, "--config", str(c1.config), "run"],
        log_path=c1.directory / "log",
        env=environ(),
    )
    assert c1.child.wait(60) == -signal.SIGKILL, c1.log
    c1.start()
    context = converged(stack, "c1")
    assert context.facts["nodes"]["c1"]["cpus"] == 4
    assert c1.nodes == ["c1"]
    assert c1.runs
    assert "gives way" not in c1.log


def test_a_hook_that_kills_its_agent_ends_before_hooks_run_again(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.hook("20-kill", "test -e DIR/killed && exit; touch DIR/killed; kill -9 $PPID; sleep 0.5; "
            "echo survived >> DIR/runs")  # fmt: skip
    c1.start()
    assert c1.child.wait(60) == -signal.SIGKILL
    c1.start()
    converged(stack, "c1")
    assert c1.runs[1] == "survived"  # the new agent has waited for it
    assert len(c1.runs) >= 3


def test_a_restarted_agent_does_not_start_a_hook_twice_at_a_time(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.hook("10-apply", "mkdir DIR/alone || touch DIR/twice; echo $$ > DIR/pid; "
            "while ! test -e DIR/go; do sleep 0.05; done; rmdir DIR/alone")  # fmt: skip
    c1.start()
    pid = c1.directory / "pid"
    eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    try:
        c1.kill()
        assert alive(int(pid.read_text()))
        c1.start()
        eventually(lambda: "a program of an agent that was killed" in c1.log)
    finally:
        (c1.directory / "go").touch()
    converged(stack, "c1")
    assert not (c1.directory / "twice").exists()


def test_an_agent_frozen_for_longer_than_its_ttl_joins_and_publishes_again(
    stack: Stack, make: Make
) -> None:
    c1, c2 = make("c1", ttl=5), make("c2")
    c1.fact(cpus=4)
    for each in (c1, c2):
        each.start()
    converged(stack, "c1", "c2")
    first = c1.kept("member")
    c1.child.pause()
    assert "c1" not in converged(stack, "c2").facts["nodes"]
    c1.child.resume()
    context = converged(stack, "c1", "c2")
    assert context.facts["nodes"]["c1"]["cpus"] == 4
    assert c1.kept("member") != first
    assert c2.nodes == ["c1", "c2"]


# Outages of the service


@pytest.fixture
def private_api(private_etcd: EtcdServer, tmp_path: Path) -> Iterator[ApiServer]:
    """A service that tests may stop."""
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as server:
        yield server


@contextlib.contextmanager
def lone(api: ApiServer, directory: Path, **options: object) -> Iterator[tuple[Stack, Instance]]:
    """An instance, and its stack in a service that tests may stop."""
    stack = stack_of(api)
    instance = Instance(directory / "c1", api.url, stack.name, "c1", **options)  # type: ignore[arg-type]
    try:
        yield stack, instance
    finally:
        instance.kill()
    assert "Traceback" not in instance.log, instance.log


def assert_each_failure_is_logged_once(instance: Instance) -> None:
    """Check that a failure is not logged at each attempt, but when its kind changes."""
    failures = re.findall(r"heartbeat failed: (\w+ \w+)", instance.log)
    assert len(failures) == len(set(failures)) > 0


def test_an_agent_survives_an_outage_of_the_service(private_api: ApiServer, tmp_path: Path) -> None:
    with lone(private_api, tmp_path, ttl=30) as (stack, c1):
        c1.start()
        converged(stack, "c1")
        first = c1.kept("member")
        private_api.kill()
        eventually(lambda: "heartbeat failed: " in c1.log)
        private_api.start()
        stack.put("news", 1)
        converged(stack, "c1")
        assert c1.kept("member") == first
        eventually(lambda: "heartbeat succeeded after earlier failures" in c1.log, 60)
        assert_each_failure_is_logged_once(c1)


def test_an_agent_survives_an_outage_of_etcd(
    private_api: ApiServer, private_etcd: EtcdServer, tmp_path: Path
) -> None:
    with lone(private_api, tmp_path, ttl=60) as (stack, c1):
        c1.start()
        converged(stack, "c1")
        private_etcd.kill()
        private_etcd.restart()
        eventually(private_api.healthy)
        eventually(lambda: put(stack, "news"))
        converged(stack, "c1")
        assert c1.runs


def put(stack: Stack, path: str) -> bool:
    try:
        stack.put(path, 1)
    except (errors.Unavailable, errors.OutcomeUnknown):
        return False
    return True


def test_an_agent_applies_the_last_context_during_an_outage(
    private_api: ApiServer, tmp_path: Path
) -> None:
    with lone(private_api, tmp_path, ttl=600) as (stack, c1):
        c1.start()
        converged(stack, "c1")
        first, runs = c1.kept("member"), len(c1.runs)
        c1.kill()
        private_api.stop()
        (c1.directory / "nodes").unlink()
        c1.start()
        eventually(lambda: c1.nodes == ["c1"])
        eventually(lambda: len(c1.runs) == runs + 1)
        assert "continuing with the stored context" in c1.log
        told = c1.call("put", "later", "yes")
        assert told.returncode == 0
        assert "the agent will send this later: " in told.stderr
        private_api.start()
        eventually(lambda: put(stack, "news"))
        context = converged(stack, "c1")
        assert context.facts["nodes"]["c1"]["later"] == "yes"
        assert c1.kept("member") == first


def test_an_agent_started_during_an_outage_waits_for_the_service(
    private_api: ApiServer, tmp_path: Path
) -> None:
    private_api.stop()
    with lone(private_api, tmp_path) as (stack, c1):
        assert c1.call("run", "--once").returncode == 4
        c1.start()
        eventually(lambda: "heartbeat failed: " in c1.log)
        private_api.start()
        converged(stack, "c1")
        assert_each_failure_is_logged_once(c1)


def test_a_single_run_survives_a_command_of_its_hook_during_an_outage(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1")
    assert c1.call("run", "--once").returncode == 0
    c1.hook("20-tell", f"{sys.executable} -m factstore.agent.cli put services/x started")
    text = c1.config.read_text()
    config = re.sub("url = .*", f"url = http://127.0.0.1:{free_port()}", text)
    c1.config.write_text(config)
    done = c1.call("run", "--once")
    assert done.returncode == EXIT_UNAVAILABLE, done.stderr
    assert "succeeded" in done.stderr
    c1.config.write_text(text)
    assert c1.call("run", "--once").returncode == 0
    assert stack.get("nodes/c1/services/x").value == "started"


def test_a_copied_state_directory_is_noticed_by_both_agents(stack: Stack, make: Make) -> None:
    original, copy = make("c1", ttl=10), make("c1", place="copy", ttl=10)
    original.start()
    eventually(lambda: original.nodes == ["c1"])
    shutil.copytree(original.directory / "state", copy.directory / "state")
    copy.start()
    stack.wait("results/c1/agent/copy", timeout=60)  # it logs before it writes this
    assert "waiting for its expiry" in copy.log
    original.child.send_signal(signal.SIGUSR1)  # collects facts
    eventually(lambda: f"copied to {socket.gethostname()}:{copy.directory}" in original.log)
    assert copy.child.wait(60) == 3
    assert "Member c1 of stack" in copy.log
    assert stack.member("c1").show().generation == original.kept("member")["generation"]
