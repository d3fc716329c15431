"""Checks, commands and settling of rendered files."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from factstore.agent.apply.errors import ApplyError, FilesSettling, TurnRequired
from factstore.agent.session.hook_turn import HookTurn
from factstore.client import Context
from tests.eventually import eventually
from tests.processes import alive
from tests.unit.agent.factories import context, write
from tests.unit.agent.node import Node
from tests.unit.client.stub import FakeClock, Service, answer, fact

SYSTEMD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
RELOAD = "command = echo reload $FACTSTORE_CHANGED >> DIR/runs\n"


def node(directory: Path, service: Service, options: str, more: str = "") -> Node:
    """Return a node whose template has these options, and without its hook."""
    made = Node(directory, service, f"{options}{more}")
    (directory / "hooks.d" / "10-first").unlink()
    return made


def second(options: str) -> str:
    return f"[template second]\nsource = conf.j2\ndestination = DIR/second.d/x.cfg\n{options}"


def ended(pid: int) -> bool:
    return not alive(pid)


def at(value: object, revision: int = 5) -> Context:
    return context({"ip": value}, revision)


def test_all_files_are_checked_then_written_and_then_each_command_runs_once(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", SYSTEMD_PATH)
    monkeypatch.delenv("HOME", raising=False)
    (tmp_path / "second.d").mkdir()
    check = "check = cat %s >> DIR/runs; test ! -e DIR/conf && ls -A DIR/second.d >> DIR/runs\n"
    made = node(tmp_path, service, f"mode = 0640\n{RELOAD}", second(check + RELOAD))
    made.hook("10-first", "echo hook >> DIR/runs")
    assert made.reconciler.apply(at("10.0.0.1"))
    files = [f"{tmp_path}/conf", f"{tmp_path}/second.d/x.cfg"]
    expected = ["10.0.0.1", ".x.check.cfg", f"reload {files[0]} {files[1]}", "hook"]
    assert made.runs == expected
    assert [file.name for file in (tmp_path / "second.d").iterdir()] == ["x.cfg"]
    assert not made.reconciler.apply(at("10.0.0.1"))
    assert made.runs == expected


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("echo bad line in %s >&2; echo; exit 3", "the check exited with status 3: bad line in "),
        ("missing-program %s", "the check exited with status 127: "),
        ("kill -9 $$ # %s", "the check was killed by signal 9"),
        ("sleep 60 & wait # %s", "the check took longer than 0.5 s"),
        ("rm %s; false", "the check exited with status 1"),
    ],
)
def test_a_file_that_fails_its_check_replaces_nothing(
    tmp_path: Path, service: Service, check: str, reason: str
) -> None:
    (tmp_path / "second.d").mkdir()
    old = write(tmp_path / "second.d" / "x.cfg", "good\n")
    limit = "timeout = 0.5\n" if "sleep" in check else ""
    options = f"check = {check}\n{limit}{RELOAD}"
    made = node(tmp_path, service, RELOAD, second(options))
    for _ in range(2):
        with pytest.raises(ApplyError) as caught:
            made.reconciler.apply(at("10.0.0.1"))
        assert caught.value.source == "template second"
        assert caught.value.reason.startswith(reason)
        assert caught.value.reason.endswith("; the file was not replaced")
    assert old.read_text() == "good\n"
    assert [file.name for file in old.parent.iterdir()] == ["x.cfg"]
    assert not (tmp_path / "conf").exists()
    assert (made.runs, made.reconciler.applied_cursor) == ([], None)


def test_no_secret_of_a_checked_file_is_logged_or_readable_by_others(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    check = "check = stat -c %%a %s > DIR/runs; cat %s; exit 1\n".replace("%%", "%")
    made = node(tmp_path, service, check)
    sealed = context({"ip": None}, sensitive={"ip": "t1"})
    service.will(answer(200, fact("ip", value="hunter2"), headers={"ETag": '"t1"'}))
    with caplog.at_level("INFO"), pytest.raises(ApplyError, match=r"status 1: \*\*\*"):
        made.reconciler.apply(sealed)
    assert made.runs == ["600"]
    assert "hunter2" not in caplog.text


def test_a_command_runs_until_it_has_succeeded_for_the_content(
    tmp_path: Path, service: Service
) -> None:
    (tmp_path / "second.d").mkdir()
    failing = "command = echo other >> DIR/runs; test -e DIR/mended\n"
    made = node(tmp_path, service, failing, second(RELOAD.replace("$FACTSTORE_CHANGED", "")))
    for _ in range(2):  # by an agent that was restarted
        with pytest.raises(ApplyError, match="template conf: the command exited with status 1"):
            made.reconciler.apply(at("10.0.0.1"))
    assert made.runs == ["other", "reload", "other"]
    (tmp_path / "mended").touch()
    reconciler = made.reconciler
    assert reconciler.apply(at("10.0.0.1"))
    assert made.runs[3:] == ["other"]
    assert reconciler.apply(at("10.0.0.2", 6))
    assert made.runs[4:] == ["other", "reload"]
    (tmp_path / "second.d" / "x.cfg").write_text("edited\n")
    assert reconciler.apply(at("10.0.0.2", 6))
    assert made.runs[6:] == ["reload"]


def test_a_command_of_an_agent_that_was_killed_after_it_wrote_the_file_runs_afterwards(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = node(tmp_path, service, RELOAD)
    made.reconciler.apply(at("10.0.0.1"))
    reconciler = made.reconciler

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reconciler._writer, "run_commands", die)
    with pytest.raises(KeyboardInterrupt):
        reconciler.apply(at("10.0.0.2", 6))
    assert made.reconciler.apply(at("10.0.0.2", 6))
    assert len(made.runs) == 2
    with pytest.raises(KeyboardInterrupt):
        reconciler.apply(at("10.0.0.3", 7))
    assert made.reconciler.apply(at("10.0.0.2", 8))  # the content for which it had succeeded
    assert len(made.runs) == 3


def test_a_command_without_when_changed_runs_for_each_context(
    tmp_path: Path, service: Service
) -> None:
    made = node(tmp_path, service, f"{RELOAD}when_changed = no\n", "[react]\nrun_hooks = files\n")
    reconciler = made.reconciler
    for revision in (5, 5, 6):
        reconciler.apply(context({"ip": "10.0.0.1", "other": revision}, revision))
    assert len(made.runs) == 2
    assert ("replace", made.read_set.calls[-1][1]) == made.read_set.calls[-1]
    assert made.read_set.calls[-1][1].is_everything  # type: ignore[union-attr]


def test_a_file_settles_before_it_is_written_within_its_limit(
    tmp_path: Path, service: Service
) -> None:
    (tmp_path / "second.d").mkdir()
    slow = f"settle = 10\nmax_settle = 25\n{RELOAD}"
    made = node(tmp_path, service, slow, second(RELOAD.replace("reload", "quick")))
    made.hook("10-first", "echo hook >> DIR/runs")
    made.clock = clock = FakeClock()
    reconciler = made.reconciler
    conf, other = tmp_path / "conf", tmp_path / "second.d" / "x.cfg"
    assert reconciler.apply(at(0))  # a missing file is written at once
    pauses = []
    for value, seconds in ((1, 6.0), (2, 4.0), (2, 2.0), (3, 8.0), (4, 5.0)):
        with pytest.raises(FilesSettling) as caught:
            reconciler.apply(at(value, 6 + value))
        pauses.append(caught.value.pause)
        assert (conf.read_text(), other.read_text()) == ("0\n", f"{value}\n")
        assert reconciler.applied_cursor == "e.5"
        clock.sleep(seconds)
    assert pauses == [10.0, 10.0, 6.0, 10.0, 5.0]
    assert made.runs.count("hook") == 1
    assert reconciler.apply(at(4, 10))
    assert conf.read_text() == "4\n"
    assert [run.split()[0] for run in made.runs[-2:]] == ["reload", "hook"]
    with pytest.raises(FilesSettling):
        reconciler.apply(at(5, 11))
    assert reconciler.apply(at(4, 12))  # nothing is left to be written
    assert reconciler.apply(at(5, 13), settle=False)
    assert conf.read_text() == "5\n"


def test_a_stopping_agent_ends_a_command_with_its_children_and_starts_no_other(
    tmp_path: Path, service: Service
) -> None:
    (tmp_path / "second.d").mkdir()
    long = "command = echo $$ >> DIR/runs; sleep 600 & echo $! >> DIR/runs; wait\n"
    made = node(tmp_path, service, long, second(RELOAD))
    reconciler = made.reconciler
    reconciler._writer._runner.should_stop = lambda: len(made.runs) == 2
    with pytest.raises(ApplyError, match="was interrupted because the agent is stopping"):
        reconciler.apply(at("10.0.0.1"))
    processes = [int(pid) for pid in made.runs]
    assert len(processes) == 2
    for pid in processes:
        eventually(functools.partial(ended, pid))
    assert (tmp_path / "second.d" / "x.cfg").exists()


def test_commands_wait_for_the_turn_before_anything_is_written(
    tmp_path: Path, service: Service
) -> None:
    class Waiting(HookTurn):
        held = False

        def __init__(self) -> None:
            pass

    made = node(tmp_path, service, RELOAD)
    with pytest.raises(TurnRequired):
        made.reconciler.apply(at("10.0.0.1"), Waiting())
    assert not (tmp_path / "conf").exists()
