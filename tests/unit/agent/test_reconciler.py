"""Applying a context: files, hooks, and recovery after failures and restarts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from factstore.agent.apply.errors import ApplyError
from factstore.agent.apply.hooks import HookFailed, Hooks
from factstore.agent.apply.program_runner import ProgramRunner
from factstore.agent.config.reads import EVERYTHING, Reads
from factstore.client import errors
from tests.eventually import eventually
from tests.processes import alive
from tests.unit.agent.factories import REAL, context, state, write
from tests.unit.agent.node import Node
from tests.unit.client.stub import Service, answer, fact, refusal


@pytest.fixture
def node(tmp_path: Path, service: Service) -> Node:
    return Node(tmp_path, service)


def test_files_are_written_and_then_hooks_run(node: Node) -> None:
    reconciler = node.reconciler
    assert reconciler.applied_cursor is None
    assert reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    assert (node.directory / "conf").read_text() == "10.0.0.1\n"
    assert node.runs == [f"e.5 {node.directory}/conf"]
    assert reconciler.applied_cursor == "e.5"


def test_an_applied_context_is_not_applied_again_even_after_a_restart(node: Node) -> None:
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    newer = context({"ip": "10.0.0.1"}, 5)
    newer = type(newer)(newer.document, newer.etag, "e.7")  # after a reverted change
    assert not reconciler.apply(newer)
    assert reconciler.applied_cursor == "e.7"
    again = node.reconciler
    assert not again.apply(newer)
    assert again.applied_cursor == "e.7"
    assert len(node.runs) == 1


def test_hooks_run_after_every_change_of_the_context(node: Node) -> None:
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    assert reconciler.apply(context({"ip": "10.0.0.1", "other": 1}, 6))
    assert node.runs[1:] == ["e.6"]  # no file has changed


def test_hooks_run_only_for_changed_files_if_so_configured(
    tmp_path: Path, service: Service
) -> None:
    node = Node(tmp_path, service, "[react]\nrun_hooks = files\n")
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    assert not reconciler.apply(context({"ip": "10.0.0.1", "other": 1}, 6))
    assert reconciler.applied_cursor == "e.6"
    assert reconciler.apply(context({"ip": "10.0.0.2"}, 7))
    assert [run.split()[0] for run in node.runs] == ["e.5", "e.7"]


def test_hooks_run_again_after_a_boot_and_when_they_have_changed(node: Node) -> None:
    applied = context({"ip": "10.0.0.1"}, 5)
    node.reconciler.apply(applied)
    node.boot = "boot-2"
    assert node.reconciler.apply(applied)
    node.hook("20-second", "echo second >> DIR/runs")
    assert node.reconciler.apply(applied)
    assert not node.reconciler.apply(applied)
    assert len(node.runs) == 4


def test_a_failed_hook_stops_the_run_and_all_hooks_run_again(node: Node) -> None:
    node.hook("20-broken", "test -e DIR/mended")
    node.hook("30-last", "echo last >> DIR/runs")
    reconciler = node.reconciler
    applied = context({"ip": "10.0.0.1"}, 5)
    for _ in range(2):
        with pytest.raises(ApplyError, match="exited with status 1") as caught:
            reconciler.apply(applied)
        assert caught.value.source == "hook 20-broken"
        assert reconciler.applied_cursor is None
    (node.directory / "mended").touch()
    assert node.reconciler.apply(applied)  # a restarted agent knows which files changed
    conf = node.directory / "conf"
    assert node.runs == [f"e.5 {conf}", f"e.5 {conf}", f"e.5 {conf}", "last"]


def test_a_context_that_cannot_be_rendered_changes_nothing(node: Node) -> None:
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    with pytest.raises(ApplyError, match=r"facts\.ip does not exist") as caught:
        reconciler.apply(context({}, 6))
    assert caught.value.source == "template conf"
    assert (node.directory / "conf").read_text() == "10.0.0.1\n"
    assert (len(node.runs), reconciler.applied_cursor) == (1, "e.5")


def test_a_file_that_cannot_be_written_is_reported(node: Node) -> None:
    (node.directory / "conf").mkdir()
    (node.directory / "conf" / "x").touch()
    with pytest.raises(ApplyError, match="directory"):
        node.reconciler.apply(context({"ip": "10.0.0.1"}))
    assert node.runs == []


@pytest.mark.parametrize(
    ("what", "ran"),
    [
        ("content", 2),
        ("mode", 2),
        ("gone", 2),
        ("hook", 2),
        ("hook off", 2),
        ("template", 2),
        ("", 1),
    ],
)
def test_what_somebody_changed_on_disk_is_noticed_in_a_quiet_stack(
    tmp_path: Path, service: Service, what: str, ran: int
) -> None:
    node = Node(tmp_path, service, FILES_ONLY)
    node.hook("20-second", "true")
    reconciler, conf = node.reconciler, node.directory / "conf"
    applied = context({"ip": "10.0.0.1"}, 5)
    reconciler.apply(applied)
    assert reconciler.drifted() == []
    if what == "content":
        conf.write_text("mine")
    elif what == "mode":
        conf.chmod(0o600)
    elif what == "gone":
        conf.unlink()
    elif what == "hook":
        node.hook("30-new", "true")
    elif what == "hook off":
        (node.directory / "hooks.d" / "20-second").chmod(0o644)
    elif what == "template":
        write(node.directory / "templates" / "conf.j2", "another {{ facts.ip }}\n")
    assert len(reconciler.drifted()) == (1 if what else 0)
    assert reconciler.skip(applied) == (not what)
    reconciler.apply(applied)
    assert (reconciler.drifted(), reconciler.mismatches, len(node.runs)) == ([], 0, ran)
    assert conf.read_text() == ("another " if what == "template" else "") + "10.0.0.1\n"


def test_what_a_renderer_leaves_out_is_a_problem_and_logged_once(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(tmp_path, service, "[render env]\nrenderer = env\ndestination = DIR/env\n")
    reconciler = node.reconciler
    clashing = {f"{name}{sign}x": 1 for name in "abcdef" for sign in "-."}
    for revision in (5, 6):
        reconciler.apply(context({"ip": "10.0.0.1", "n": revision, **clashing}, revision))
    (problem,) = reconciler.problems.items()
    assert problem[0] == "render env"
    assert problem[1].startswith("left out a-x, which would be the same as another one: A_X; ")
    assert problem[1].endswith("; and 2 more")
    assert caplog.text.count("left out") == 1
    assert (node.directory / "env").read_text() == "IP=10.0.0.1\nN=6\n"
    reconciler.apply(context({"ip": "10.0.0.1"}, 7))
    assert reconciler.problems == {}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_former_context_is_applied_again_after_one_that_failed_half_way(
    node: Node, restarted: bool
) -> None:
    node.hook("10-first", "echo $FACTSTORE_CURSOR >> DIR/runs")
    node.hook("20-broken", "test $FACTSTORE_CURSOR != e.6")
    reconciler, before = node.reconciler, context({"ip": "10.0.0.1"}, 5)
    reconciler.apply(before)
    with pytest.raises(ApplyError):  # no file changed, but a hook has seen this context
        reconciler.apply(context({"ip": "10.0.0.1", "other": 1}, 6))
    assert (node.reconciler if restarted else reconciler).apply(before)
    assert node.runs == ["e.5", "e.6", "e.5"]


def test_hooks_run_for_a_modified_file_until_they_succeed(node: Node) -> None:
    applied = context({"ip": "10.0.0.1"}, 5)
    node.reconciler.apply(applied)
    (node.directory / "conf").write_text("mine")
    node.hook("10-first", "exit 1")
    node.reconciler.store_context(applied)
    for _ in range(2):
        with pytest.raises(ApplyError):
            node.reconciler.apply(applied)
    assert (node.directory / "conf").read_text() == "10.0.0.1\n"


def test_nothing_is_written_without_its_secrets(node: Node) -> None:
    node.service.will(refusal(503, "unavailable"), answer(200, fact("ip", "10.0.0.1")))
    sealed = context({"ip": None}, sensitive={"ip": "e.1"})
    reconciler = node.reconciler
    with pytest.raises(errors.Unavailable):
        reconciler.apply(sealed)
    assert not (node.directory / "conf").exists()
    assert reconciler.apply(sealed)
    assert (node.directory / "conf").read_text() == "10.0.0.1\n"


def test_a_secret_is_on_disk_only_in_the_rendered_file(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.hook("10-first", "cat DIR/conf; exit 1")
    node.service.will(answer(200, fact("ip", "s3cret words")))
    sealed = context({"ip": None}, sensitive={"ip": "e.1"})
    reconciler = node.reconciler
    reconciler.store_context(sealed)
    with caplog.at_level(logging.DEBUG, "factstore"), pytest.raises(ApplyError):
        reconciler.apply(sealed)
    assert "hook 10-first: ***" in caplog.text
    assert "s3cret" not in caplog.text
    files = [file for file in node.directory.rglob("*") if file.is_file()]
    assert [file.name for file in files if b"s3cret" in file.read_bytes()] == ["conf"]


def test_the_last_context_is_available_after_a_restart(node: Node) -> None:
    kept = context({"ip": "10.0.0.1"}, 5)
    node.reconciler.store_context(kept)
    assert node.reconciler.load_context() == kept
    assert '"ip": "10.0.0.1"' in (node.directory / "state" / "context.json").read_text()


def test_hooks_receive_the_stack_and_the_member_as_variables(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for inherited in [name for name in os.environ if name.startswith("FACTSTORE")]:
        monkeypatch.delenv(inherited)  # such as a setting of these tests
    node.hook("10-first", "env | grep ^FACTSTORE > DIR/env; pwd > DIR/pwd")
    node.reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    variables = dict(
        line.split("=", 1)
        for line in (node.directory / "env").read_text().splitlines()
        if "=" in line
    )
    assert variables == {
        "FACTSTORE_AGENT_CONFIG": f"{node.directory}/agent.conf",
        "FACTSTORE_STACK": "slurm",
        "FACTSTORE_MEMBER": "c1",
        "FACTSTORE_GROUP": "node",
        "FACTSTORE_CONTEXT": f"{node.directory}/state/context.json",
        "FACTSTORE_CURSOR": "e.5",
        "FACTSTORE_CHANGED": f"{node.directory}/conf",
    }


# After an agent was killed

KILLED = """\
import sys
from pathlib import Path
from factstore.agent.apply.hooks import Hooks
from factstore.agent.apply.program_runner import ProgramRunner
from factstore.agent.system.state_dir import StateDir
from factstore.client.clock import SystemClock
state = StateDir(Path(sys.argv[1]), ("slurm", "c1"))
Hooks(Path(sys.argv[2]), 60, ProgramRunner(state, SystemClock(), str)).run({})
"""


def orphan(node: Node) -> int:
    """Return the process id of a hook whose agent was killed."""
    node.hook("10-first", "echo $$ > DIR/pid; while ! test -e DIR/go; do sleep 0.05; done")
    directory = state(node.directory).directory
    agent = subprocess.Popen([sys.executable, "-c", KILLED, directory, node.directory / "hooks.d"])
    pid = node.directory / "pid"
    eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    eventually((directory / "hook.json").exists)
    agent.kill()
    agent.wait()
    return int(pid.read_text())


def hooks(node: Node, timeout: float = 60.0, stopping: bool = False) -> Hooks:
    directory = node.directory / "hooks.d"
    return Hooks(
        directory, timeout, ProgramRunner(state(node.directory), REAL, str, lambda: stopping)
    )


def test_a_hook_of_a_killed_agent_is_waited_for(node: Node) -> None:
    left = orphan(node)
    node.hook("10-first", "echo after >> DIR/runs")
    waited = []

    class ReleasingClock(type(REAL)):  # type: ignore[misc]
        def sleep(self, seconds: float) -> None:
            waited.append(alive(left) and not node.runs)
            (node.directory / "go").touch()
            eventually(lambda: not alive(left))

    waiting = hooks(node)
    waiting._runner._clock = ReleasingClock()
    waiting.run({})
    assert (waited, node.runs) == ([True], ["after"])


def test_a_hook_of_a_killed_agent_is_killed_after_its_time_limit(node: Node) -> None:
    left = orphan(node)
    node.hook("10-first", "echo after >> DIR/runs")
    hooks(node, timeout=0.4).run({})
    assert node.runs == ["after"]
    eventually(lambda: not alive(left))


def test_a_stopping_agent_does_not_wait_for_a_hook(node: Node) -> None:
    left = orphan(node)
    with pytest.raises(HookFailed, match="is still running"):
        hooks(node, stopping=True).run({})
    os.kill(left, signal.SIGKILL)


def test_another_process_with_the_same_id_is_not_waited_for(node: Node) -> None:
    state(node.directory).write("hook", {"pid": os.getpid(), "began": "boot-0 1"})
    hooks(node).run({})
    assert len(node.runs) == 1


def test_files_that_are_not_executable_are_not_hooks(node: Node) -> None:
    write(node.directory / "hooks.d" / "05-readme", "exit 1")
    hooks(node).run({})
    assert len(node.runs) == 1


# Read sets

FILES_ONLY = "[react]\nrun_hooks = files\n"


def test_the_read_set_is_widened_before_files_change_and_narrowed_afterwards(
    tmp_path: Path, service: Service
) -> None:
    node = Node(tmp_path, service, FILES_ONLY)
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    ip = Reads(frozenset({"ip"}))
    assert node.read_set.calls == [("widen", ip), ("upload", None), ("replace", ip)]
    assert not (node.directory / "conf").read_text().startswith("other")


def test_a_context_in_which_nothing_that_is_read_differs_is_applied_already(
    tmp_path: Path, service: Service
) -> None:
    node = Node(tmp_path, service, FILES_ONLY)
    reconciler = node.reconciler
    assert not reconciler.skip(context({"ip": "10.0.0.1"}, 4)), "nothing is applied yet"
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    assert reconciler.skip(context({"ip": "10.0.0.1", "kpi": 1}, 6))
    assert reconciler.applied_cursor == "e.6"
    assert not reconciler.skip(context({"ip": "10.0.0.2", "kpi": 1}, 7))
    assert reconciler.applied_cursor == "e.6"


def test_hooks_read_everything_unless_the_configuration_names_what_they_read(
    tmp_path: Path, service: Service
) -> None:
    node = Node(tmp_path, service)
    node.reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    assert node.read_set.calls[-1] == ("replace", Reads(frozenset({"ip"})) | EVERYTHING)
    node.more = "[react]\nreads = size nodes/ @head\n"
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 6))
    named = Reads(frozenset({"ip", "nodes/", "size"}), groups=frozenset({"head"}))
    assert node.read_set.calls[-1] == ("replace", named)
    runs = len(node.runs)
    reconciler.apply(context({"ip": "10.0.0.1", "kpi": 1}, 7))
    assert len(node.runs) == runs, "hooks do not read it"
    reconciler.apply(context({"ip": "10.0.0.1", "kpi": 1, "size": 2}, 8))
    assert len(node.runs) == runs + 1


def test_a_template_that_fails_is_woken_for_what_it_has_read(
    tmp_path: Path, service: Service
) -> None:
    node = Node(tmp_path, service, FILES_ONLY)
    with pytest.raises(ApplyError):
        node.reconciler.apply(context({}, 5))
    assert node.read_set.calls[0] == ("replace", Reads(frozenset({"ip"})))


def test_a_file_that_differs_without_reason_is_reported_and_ends_the_read_set(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(tmp_path, service, FILES_ONLY)
    reconciler = node.reconciler
    reconciler.apply(context({"ip": "10.0.0.1"}, 5))
    reconciler.apply(context({"ip": "10.0.0.1", "kpi": 1}, 6))
    assert reconciler.mismatches == 0
    random = "{{ range(99999) | random }}"
    write(node.directory / "templates" / "conf.j2", random * 3)
    reconciler.apply(context({"ip": "10.0.0.1", "kpi": 1}, 6))
    assert reconciler.mismatches == 0  # the template was edited
    reconciler.apply(context({"ip": "10.0.0.1", "kpi": 1}, 6))
    assert (reconciler.mismatches, len(reconciler.problems)) == (1, 1)
    assert node.read_set.calls[-1] == ("replace", EVERYTHING)
    assert "files differ" in caplog.text
    restarted = node.reconciler  # trusts its read set again, and continues to count
    assert (restarted.mismatches, restarted.problems) == (1, {})
