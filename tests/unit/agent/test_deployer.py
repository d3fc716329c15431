"""Configurations on an instance: hooks, results, order, and an agent that is killed at any point."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.deploy import deployer as deploying
from factstore.agent.deploy import runs, supervisor
from factstore.agent.deploy.deployer import Deployer, choose
from factstore.agent.deploy.runs import Run
from factstore.client import errors
from tests.eventually import eventually
from tests.processes import alive
from tests.unit.agent.deployments import DONE, SECRET, FakeStack, Instance, Killed, configuration
from tests.unit.agent.factories import program, write


def test_a_hook_gets_the_configuration_and_its_result_is_reported(tmp_path: Path) -> None:
    found = configuration(
        inputs={"port": 80, "tags": ["a"], "who": "me"}, input_facts={"password": "secrets/db"}
    )
    stack = FakeStack(found)
    stack.facts["secrets/db"] = SECRET
    text = (
        "cat > DIR/input; echo 40% done >&2; cat DIR/input >&2;"
        f' echo \'{{"deploy_stdout": "{SECRET}", "deploy_stderr": null, "url": [1]}}\''
    )
    instance = Instance(tmp_path, stack, text)
    result = instance.until_ended()
    assert stack.reports[0]["state"] == "in_progress"
    assert (result["state"], result["status_code"], result["reason"]) == ("complete", 0, "")
    assert result["outputs"] == {"url": [1]}
    assert result["stdout"] == "***"
    assert "40% done" in result["stderr"]
    assert SECRET not in json.dumps(stack.reports)
    given = json.loads((tmp_path / "input").read_text())
    assert (given["id"], given["group"], given["config"]) == (found.id, "script", "the script")
    inputs = {each["name"]: each["value"] for each in given["inputs"]}
    assert inputs["password"] == SECRET
    assert (inputs["port"], inputs["tags"], inputs["who"]) == ("80", ["a"], "me")
    assert (inputs["deploy_action"], inputs["deploy_stack_id"]) == ("CREATE", "slurm")
    assert given["outputs"] == [{"name": "url", "type": "String"}]
    assert list((tmp_path / "state").iterdir()) == []  # no secret is left on disk


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        ('echo \'{"deploy_status_code": 7, "deploy_stderr": "bad"}\'', 7, ""),
        (f"{DONE}; exit 3", 3, "the hook exited with status 3"),
        ("echo no JSON", 0, "the hook printed no JSON object, which hooks of heat-agents print"),
        ("echo '[]'", 0, "the hook printed no JSON object, which hooks of heat-agents print"),
        ("sleep 60 & wait", -15, "the hook took longer than 1 s"),
    ],
)
def test_a_failed_hook_is_reported(tmp_path: Path, script: str, status: int, reason: str) -> None:
    stack = FakeStack(configuration(timeout=1 if "sleep" in script else 60))
    result = Instance(tmp_path, stack, script).until_ended()
    assert result["state"] == "failed"
    assert result["reason"] == reason
    assert result["status_code"] == (0 if f"{DONE};" in script else status)


def test_a_missing_hook_and_a_missing_input_are_failures(tmp_path: Path) -> None:
    stack = FakeStack(
        configuration("a", group="puppet"), configuration("b", input_facts={"x": "y"})
    )
    instance = Instance(tmp_path, stack)
    instance.until_ended(2)
    reasons = [each["reason"] for each in stack.reports if each["state"] == "failed"]
    assert reasons == [
        f"{tmp_path}/hooks/puppet does not exist or is not executable",
        "the fact y, an input, does not exist or cannot be read",
    ]
    assert instance.runs == 0


def test_progress_is_reported_while_a_hook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "PROGRESS_SECONDS", 0)
    waiting = "echo 10% >&2; while ! test -e DIR/go; do sleep 0.05; done;"
    stack = FakeStack(configuration())
    instance = Instance(tmp_path, stack, f"{waiting} {DONE}")

    def reported() -> bool:
        instance.agent.step()
        return len(stack.reports) == 2

    eventually(reported)
    assert stack.reports[1] == {
        "name": "app",
        "state": "in_progress",
        "message": "10%",
        "percent": 10,
    }
    (tmp_path / "go").touch()
    instance.until_ended()


POINTS = {
    "before the run is stored": (Run, "begin"),
    "before the start is reported": (Deployer, "_report"),
    "before the hook starts": (Run, "start"),
    "while the hook runs": (Deployer, "_report_progress"),
    "after the hook has ended": (Run, "store_result"),
    "before the result is reported": (Deployer, "_finish"),
    "after the result was reported": (Run, "delete"),
}


@pytest.mark.parametrize("point", POINTS)
def test_an_agent_killed_at_any_point_runs_a_hook_once_and_reports_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    # With this policy, a run that was wrongly taken for interrupted would run twice.
    stack = FakeStack(configuration(on_interrupt="retry"))
    waits = "while ! test -e DIR/go; do sleep 0.05; done;"
    instance = Instance(tmp_path, stack, f"{waits if point.startswith('while') else ''} {DONE}")
    kind, name = POINTS[point]

    def die(*_: object, **_options: object) -> None:
        if name != "delete" or stack.ends:  # the first deletion is that of nothing
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(kind, name, die)

        def worked() -> bool:
            try:
                instance.agent.step()
            except Killed:
                return True
            return False

        eventually(worked)
    instance.restarted()
    (tmp_path / "go").touch()
    result = instance.until_ended(2 if name == "delete" else 1)
    assert (result["state"], result["outputs"]) == ("complete", {"url": "u"})
    assert instance.runs == 1


class Crash:
    """The death of the agent at one of its operations on the disk.

    :param at: the number of the operation, from 0.
    """

    def __init__(self, at: int) -> None:
        self.points, self._at = 0, at

    def watch(self, patched: pytest.MonkeyPatch) -> None:
        """Count the operations from now on."""
        for holder, name in (
            *((Path, each) for each in ("unlink", "mkdir")),
            *((runs, each) for each in ("write_state", "make_directory", "sync_directory")),
            (shutil, "rmtree"),
            (Run, "start"),
        ):
            patched.setattr(holder, name, self._counted(getattr(holder, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self.points == self._at:
                raise Killed
            self.points += 1
            return function(*arguments, **options)

        return counted


def test_a_start_whose_report_got_no_answer_is_never_taken_for_a_lost_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent starts the run again; it is killed at one point of that after the other."""
    lost = errors.Unavailable("no answer", status=503)
    killed_at = 0
    while True:
        stack = FakeStack(configuration())
        (tmp_path / str(killed_at)).mkdir()
        instance = Instance(tmp_path / str(killed_at), stack)
        answers = iter([lost])
        stack.loses = functools.partial(next, answers, None)
        with pytest.raises(errors.Unavailable):
            instance.agent.step()
        assert stack.known["app"].state == "in_progress"
        stack.asked = lambda: lost  # the next read fails: the run on disk stays
        with pytest.raises(errors.Unavailable):
            instance.restarted().step()
        stack.asked = lambda: None
        crash = Crash(killed_at)
        with monkeypatch.context() as patched, contextlib.suppress(Killed):
            crash.watch(patched)
            instance.restarted().step()
        instance.restarted()
        assert instance.until_ended()["state"] == "complete", f"killed at point {killed_at}"
        assert instance.runs == 1
        if crash.points < killed_at:
            break  # nothing was left to be killed at
        killed_at += 1
    assert killed_at > 3


@pytest.mark.parametrize("on_interrupt", ["fail", "retry"])
def test_a_run_that_was_cut_off_fails_or_is_repeated(tmp_path: Path, on_interrupt: str) -> None:
    stack = FakeStack(configuration(on_interrupt=on_interrupt))
    instance = Instance(tmp_path, stack, f"echo $$ > DIR/pid; echo half >&2; sleep 600; {DONE}")

    def running() -> bool:
        instance.agent.step()
        pid = tmp_path / "pid"
        return pid.exists() and pid.read_text().endswith("\n")

    eventually(running)
    hook = int((tmp_path / "pid").read_text())
    known = json.loads((tmp_path / "state" / "run" / "pid.json").read_text())
    os.kill(known["pid"], signal.SIGKILL)
    eventually(lambda: not alive(known["pid"]))
    instance.hook(DONE)
    result = instance.restarted() and instance.until_ended()
    eventually(lambda: not alive(hook))
    if on_interrupt == "retry":
        assert (result["state"], instance.runs) == ("complete", 2)
    else:
        assert (result["state"], result["stderr"], instance.runs) == ("failed", "half\n", 1)
        assert result["reason"] == "the run was interrupted before it ended"


HIDES = """\
import os, signal, time
if not os.fork():
    os.setsid()
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.chdir("/")
        time.sleep(600)
    os._exit(0)
os.wait()
"""
"""A program that leaves a daemon: with a session of its own, an ended parent, and deaf to SIGTERM."""


@pytest.mark.parametrize("ends", ["the time limit", "a killed supervisor"])
def test_no_descendant_of_a_hook_survives_its_end(tmp_path: Path, ends: str) -> None:
    stack = FakeStack(configuration(timeout=10 if ends == "the time limit" else 60))
    hiding = tmp_path / "hides.py"
    hiding.write_text(HIDES)
    mark = f"{sys.executable} {hiding}"
    instance = Instance(tmp_path, stack, f"{mark}\n{mark} & wait; touch DIR/left; sleep 600")

    def left() -> bool:
        instance.agent.step()
        return (tmp_path / "left").exists()

    def hidden() -> list[int]:
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(hiding) in (each / "cmdline").read_text() and alive(int(each.name)):
                    found.append(int(each.name))
        return found

    eventually(left)
    assert len(hidden()) == 2
    if ends == "a killed supervisor":
        known = json.loads((tmp_path / "state" / "run" / "pid.json").read_text())
        os.kill(known["pid"], signal.SIGKILL)
        eventually(lambda: not alive(known["pid"]))
    assert instance.until_ended()["state"] == "failed"
    eventually(lambda: hidden() == [])


def test_a_process_that_a_hook_leaves_running_goes_on(tmp_path: Path) -> None:
    stack = FakeStack(configuration())
    script = f"setsid sleep 600 >/dev/null 2>&1 & echo $! > DIR/pid; {DONE}"
    result = Instance(tmp_path, stack, script).until_ended()
    assert result["state"] == "complete"
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_run_whose_state_was_lost_is_not_silently_repeated(tmp_path: Path) -> None:
    stack = FakeStack(configuration(state="in_progress"))
    instance = Instance(tmp_path, stack)
    assert instance.until_ended()["reason"] == "the run was interrupted, and its state was lost"
    assert instance.runs == 0


def test_a_report_that_the_service_refuses_ends_the_run(tmp_path: Path) -> None:
    stack = FakeStack(configuration("a"), configuration("b"))
    changed = errors.Conflict("changed", status=409)
    stack.refuses = lambda report: changed if report["name"] == "a" else None
    instance = Instance(tmp_path, stack)
    instance.agent.step()  # the start of a is refused
    assert instance.agent._run.load() is None
    del stack.known["a"]
    malformed = errors.BadRequest("too deep", status=400)
    stack.refuses = lambda report: malformed if report.get("outputs") else None
    result = instance.until_ended()
    assert (result["state"], result["status_code"]) == ("failed", 0)
    assert "too deep" in result["reason"]


def test_configurations_run_in_order_and_are_undeployed_in_reverse() -> None:
    first, second, waiting = (configuration(name) for name in "abc")
    waiting = replace(waiting, state="waiting")
    assert choose([first, second, waiting]) == first
    assert choose([replace(first, state="complete"), second]) == second
    removals = [replace(each, action="DELETE") for each in (first, second, waiting)]
    assert choose([configuration("d"), *removals]) == removals[1]
    interrupted = replace(second, state="in_progress")
    assert choose([first, interrupted]) == interrupted
    assert choose([waiting]) is None


def test_a_supervisor_without_its_whole_input_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = write(tmp_path / "given", "9\n{}")
    with given.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        supervisor.supervise(str(program(tmp_path / "hook", "touch ran")), 1.0)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["given", "hook"]
