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

from factstore.agent.apply.sensitive_facts import secret_texts
from factstore.agent.deploy import deployer as deploying
from factstore.agent.deploy import runs, supervisor
from factstore.agent.deploy.deployer import Deployer, choose
from factstore.agent.deploy.protocol import hook_result
from factstore.agent.deploy.runs import Run
from factstore.client import ConfigurationList, ConfigurationRecord, errors
from tests.eventually import eventually
from tests.processes import alive
from tests.unit.agent.factories import REAL, program, write

SECRET = "hunter2-hunter2"
DONE = 'echo \'{"deploy_stdout": "out", "deploy_stderr": "", "deploy_status_code": 0, "url": "u"}\''


def configuration(name: str = "app", **more: Any) -> ConfigurationRecord:
    fields: dict[str, Any] = {
        "member": "c1",
        "name": name,
        "id": f"id of {name}",
        "sequence": 1,
        "state": "due",
        "waits_for": [],
        "group": "script",
        "outputs": ["url"],
        "depends_on": [],
        "action": "CREATE",
        "on_interrupt": "fail",
        "timeout": 60,
        "result": None,
        "config": "the script",
        **more,
    }
    return ConfigurationRecord(**fields)


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


class FakeStack:
    """A stack with configurations of one member, which keeps all reports."""

    name = "slurm"

    def __init__(self, *configurations: ConfigurationRecord) -> None:
        self.known = {each.name: each for each in configurations}
        self.reports: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.refuses: Callable[[dict[str, Any]], Exception | None] = lambda report: None
        self.loses: Callable[[], Exception | None] = lambda: None  # the answer to a report
        self.asked: Callable[[], Exception | None] = lambda: None

    def configurations(self, member: str, **_: object) -> ConfigurationList:
        return ConfigurationList(tuple(self.known.values()), "tag")

    def configuration(self, member: str, name: str) -> Any:
        stack = self

        class Item:
            def show(self) -> ConfigurationRecord:
                if (error := stack.asked()) is not None:
                    raise error
                if name not in stack.known:
                    raise errors.NotFound("missing", status=404)
                return stack.known[name]

            def report(self, identifier: str, state: str, **result: Any) -> None:
                report = {"name": name, "state": state, **result}
                error = stack.refuses(report)
                if error is not None:
                    raise error
                assert identifier == stack.known[name].id
                stack.reports.append(report)
                stack.known[name] = replace(stack.known[name], state=state)
                if (error := stack.loses()) is not None:
                    raise error

        return Item()

    def get(self, path: str) -> Any:
        if path not in self.facts:
            raise errors.NotFound("missing", status=404)
        value = self.facts[path]
        return type("Fact", (), {"value": value, "etag": f"etag of {value}"})

    @property
    def ends(self) -> list[tuple[str, str]]:
        return [
            (each["name"], each["state"]) for each in self.reports if each["state"] != "in_progress"
        ]


class Instance:
    """A directory with hooks, on which one agent after the other runs."""

    def __init__(self, directory: Path, stack: FakeStack, script: str = DONE) -> None:
        self.directory, self.stack = directory, stack
        (directory / "state").mkdir(mode=0o700)
        self.hook(script)
        self.agent = self.restarted()

    def hook(self, script: str) -> None:
        script = script.replace("DIR", str(self.directory))
        program(
            self.directory / "hooks" / "script", f"echo run >> {self.directory}/runs\n{script}\n"
        )

    def restarted(self) -> Deployer:
        self.agent = Deployer(
            self.stack,  # type: ignore[arg-type]
            "c1",
            self.directory / "hooks",
            self.directory / "state",
            lambda: True,
            REAL,
        )
        return self.agent

    @property
    def runs(self) -> int:
        file = self.directory / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def until_ended(self, count: int = 1) -> dict[str, Any]:
        """Let the agent work until so many results were reported; return the last one."""

        def worked() -> bool:
            self.agent.step()
            return len(self.stack.ends) == count and self.agent._run.load() is None

        eventually(worked)
        return self.stack.reports[-1]


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
            *((runs, each) for each in ("write_atomically", "sync_directory")),
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
    stack = FakeStack(configuration(timeout=2 if ends == "the time limit" else 60))
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


@pytest.mark.parametrize("where", ["before the cut", "at the end", "in the progress"])
def test_no_part_of_a_secret_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    secret = "".join(f"{at:04}" for at in range(5000))
    monkeypatch.setattr(deploying, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(runs, "TAIL_BYTES", 30_000)
    found = configuration(input_facts={"key": "secrets/key"}, timeout=60)
    if where == "at the end":
        found = replace(found, timeout=1)
    stack = FakeStack(found)
    stack.facts["secrets/key"] = secret
    (tmp_path / "secret").write_text(secret)
    script = {
        # More than the tail in all, and hardly anything of it once it is redacted.
        "before the cut": f"for at in 1 2 3 4 5; do cat DIR/secret; echo; done >&2; {DONE}",
        "at the end": "head -c 9000 DIR/secret >&2; sleep 600",
        "in the progress": f"cat DIR/secret >&2; head -c 15000 DIR/secret >&2;"
        f" while ! test -e DIR/go; do sleep 0.05; done; {DONE}",
    }[where]
    instance = Instance(tmp_path, stack, script)
    if where == "in the progress":
        eventually(lambda: instance.agent.step() is not None and Run(tmp_path / "state").began)
        for _ in range(5):
            instance.agent.step()
        (tmp_path / "go").touch()
    instance.until_ended()
    reported = json.dumps(stack.reports)
    assert not any(f"{at:04}{at + 1:04}" in reported for at in range(4999))


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


def test_results_are_bounded_and_valid_text() -> None:
    printed = {
        "deploy_stdout": "\0x\ud800" + "\N{SNOWMAN}" * 9000,
        "deploy_status_code": "0",
        "a": "\0b",
    }
    end = {"status": 0, "failure": None}
    result = hook_result(end, json.dumps(printed).encode(), b"\xff\n last \n\n", [])
    assert len(result["stdout"].encode()) <= 16 * 1024
    assert set(result["stdout"]) == {"\N{SNOWMAN}"}
    assert result["outputs"] == {"a": "b"}
    assert result["message"] == "last"
    long = json.dumps({"a": "x" * 20_000}).encode()
    assert hook_result(end, long, b"", [])["reason"] == "the outputs are longer than 16384 bytes"


@pytest.mark.parametrize(
    ("printed", "secret", "outputs"),
    [
        ('{"pin": 12345678}', 12345678, {"pin": "***"}),
        ('{"a": "say \\"hunter2\\""}', 'say "hunter2"', {"a": "***"}),
        ('{"hunter2": ["x\\nyyyyy", true]}', "hunter2", {"***": ["x\nyyyyy", True]}),
        ('{"a": "x\\nyyyyy"}', "nyyyyy", {"a": "x\nyyyyy"}),
        ('{"a": "b", "c": "d"}', '", "c": "', {"a": "b", "c": "d"}),
        ('{"a": "\\\\u0000"}', "", {"a": "\\u0000"}),
        ('{"a": [NaN, 1e3], "deploy_status_code": 1e999}', "", {"a": ["NaN", 1e3]}),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "", {}),
    ],
)
def test_outputs_of_any_kind_are_reported_without_secrets(
    printed: str, secret: Any, outputs: dict[str, Any]
) -> None:
    end = {"status": 0, "failure": None}
    result = hook_result(end, printed.encode(), b"", secret_texts([secret]))
    assert result["outputs"] == outputs
    assert result["status_code"] == 0


def test_secrets_are_replaced_in_printed_output_that_is_no_text() -> None:
    printed = json.dumps(
        {"deploy_stdout": ['say "hunter2"'], "deploy_stderr": {"a": "hunt\u00e9r"}}
    )
    secrets = secret_texts(['say "hunter2"', "hunt\u00e9r"])
    result = hook_result({"status": 0, "failure": None}, printed.encode(), b"", secrets)
    assert (result["stdout"], result["stderr"]) == ('["***"]', '{"a": "***"}')


@pytest.mark.parametrize("now", [SECRET, "another", None])
def test_output_is_withheld_if_a_secret_changed_while_the_agent_was_restarted(
    tmp_path: Path, now: str | None
) -> None:
    stack = FakeStack(configuration(input_facts={"password": "db/pw"}))
    stack.facts["db/pw"] = SECRET
    printed = json.dumps({"deploy_stdout": SECRET, "url": SECRET, "deploy_status_code": 0})
    script = f"while [ ! -e DIR/go ]; do sleep 0.02; done; echo {SECRET} >&2; echo '{printed}'"
    instance = Instance(tmp_path, stack, script)
    instance.agent.step()
    if now is None:
        del stack.facts["db/pw"]
    else:
        stack.facts["db/pw"] = now
    instance.restarted()
    write(tmp_path / "go", "")
    result = instance.until_ended()
    shown = "***" if now == SECRET else ""
    assert (result["state"], result["stdout"], result["stderr"]) == (
        "complete",
        shown,
        f"{shown}\n" if shown else "",
    )
    assert result["outputs"] == ({"url": "***"} if shown else {})
    assert SECRET not in json.dumps(stack.reports)


def test_a_result_is_kept_while_there_is_a_folder_in_its_place(tmp_path: Path) -> None:
    stack = FakeStack(configuration())
    code = "contextualization.path_is_folder"
    stack.refuses = lambda report: errors.Conflict("a folder", status=409, code=code)
    instance = Instance(tmp_path, stack)
    for _ in range(3):
        with pytest.raises(errors.Conflict):  # so the worker pauses
            instance.agent.step()
    stack.refuses = lambda report: None
    assert instance.until_ended()["state"] == "complete"
    assert instance.runs == 1


def test_a_result_that_is_too_large_as_json_is_shortened(tmp_path: Path) -> None:
    stack = FakeStack(configuration())

    def refuses(report: dict[str, Any]) -> Exception | None:
        long = len(report.get("stdout", "")) > 2048
        return errors.TooLarge("too large", status=413) if long else None

    stack.refuses = refuses
    instance = Instance(tmp_path, stack, "head -c 9000 /dev/zero | tr '\\0' '\\1'")
    result = instance.until_ended()
    assert result["stdout"] == "\1" * 2048
    assert result["reason"] == "the hook printed no JSON object, which hooks of heat-agents print"


def test_a_supervisor_without_its_whole_input_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = write(tmp_path / "given", "9\n{}")
    with given.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        supervisor.supervise(str(program(tmp_path / "hook", "touch ran")), 1.0)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["given", "hook"]
