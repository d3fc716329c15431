"""Other people's programs, run with limits."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.system.run_program import Ended, run
from tests.eventually import eventually
from tests.processes import alive
from tests.unit.agent.factories import REAL, program

DYING = """
import os, signal, sys
from pathlib import Path
from factstore.agent.system.run_program import run
from factstore.client.clock import SystemClock

def die(pid):
    print(pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

run(Path(sys.argv[1]), clock=SystemClock(), timeout=20, env={}, on_line=print, on_start=die)
"""
"""A program that starts another one and is killed while it notes that."""


def ran(file: Path, **more: Any) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    options = {"timeout": 20.0, "env": {}, **more}
    return run(file, clock=REAL, on_line=lines.append, **options), lines


def test_output_is_kept_and_errors_are_handed_on_line_by_line(tmp_path: Path) -> None:
    file = program(tmp_path / "p", "echo out; echo one >&2; printf two >&2")
    assert ran(file, keep=100) == (Ended(None, b"out\n"), ["one", "two"])


def test_without_keeping_all_that_is_printed_is_handed_on(tmp_path: Path) -> None:
    ended, lines = ran(program(tmp_path / "p", "echo out; echo err >&2"))
    assert ended == Ended(None)
    assert sorted(lines) == ["err", "out"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 3", "ended with status 3"), ("kill -9 $$", "was killed by signal 9")],
)
def test_a_program_that_fails_is_told_of(tmp_path: Path, script: str, reason: str) -> None:
    assert ran(program(tmp_path / "p", script))[0].reason == reason


def test_what_cannot_be_run_is_told_of(tmp_path: Path) -> None:
    file = program(tmp_path / "p", "")
    file.write_text("#!/nowhere/interpreter\n")
    assert ran(file)[0].reason == "cannot be run: No such file or directory"
    file.write_text("")
    assert ran(file)[0].reason == "cannot be run: Exec format error"


def test_who_is_told_of_its_start_is_told_of_what_cannot_be_run(tmp_path: Path) -> None:
    file = program(tmp_path / "p", "")
    file.write_text("#!/nowhere/interpreter\n")
    told: list[int] = []
    assert ran(file, on_start=told.append)[0].reason == "cannot be run: No such file or directory"
    file.write_text("")
    assert ran(file, on_start=told.append)[0].reason == "cannot be run: Exec format error"
    file.chmod(0o600)
    assert ran(file, on_start=told.append)[0].reason == "cannot be run: Permission denied"
    assert len(told) == 3


def test_a_program_begins_when_its_start_was_noted(tmp_path: Path) -> None:
    def note(pid: int) -> None:
        with pytest.raises(AssertionError):
            eventually((tmp_path / "began").exists, within=0.5)
        (tmp_path / "noted").write_text(f"{pid}\n")

    script = f"touch {tmp_path}/began; cat {tmp_path}/noted; echo $$"
    ended, _ = ran(program(tmp_path / "p", script), keep=100, on_start=note)
    pid = (tmp_path / "noted").read_bytes()
    assert ended == Ended(None, pid + pid)


def test_a_program_whose_start_cannot_be_noted_never_begins(tmp_path: Path) -> None:
    told: list[int] = []

    def refuse(pid: int) -> None:
        told.append(pid)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ran(program(tmp_path / "p", f"touch {tmp_path}/began"), on_start=refuse)
    assert not alive(told[0])
    assert not (tmp_path / "began").exists()


def test_a_program_whose_starter_dies_before_it_noted_it_never_begins(tmp_path: Path) -> None:
    file = program(tmp_path / "p", f"touch {tmp_path}/began")
    starter = subprocess.run(
        [sys.executable, "-c", DYING, str(file)], stdout=subprocess.PIPE, check=False
    )
    assert starter.returncode == -signal.SIGKILL
    eventually(lambda: not alive(int(starter.stdout)))
    assert not (tmp_path / "began").exists()


def test_a_program_is_the_same_whether_or_not_its_start_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    script = (
        "env | sort | grep -v ^_=; readlink /proc/self/fd/0; ls /proc/$$/fd; echo $0; pwd; "
        "grep Sig[BIC] /proc/self/status; cut -d' ' -f5,6 /proc/$$/stat | sed s/$$/own/g"
    )
    file = program(tmp_path / "p", script)
    plain, noted = (ran(file, keep=100_000, on_start=each)[0] for each in (None, lambda pid: None))
    assert plain.output.splitlines() == noted.output.splitlines()
    assert plain.output.endswith(b"own own\n")


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    ended, _ = ran(program(tmp_path / "p", script), timeout=0.3)
    assert ended.reason == "took longer than 0.3 s"
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not alive(pid))


def test_a_program_that_will_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factstore.agent.system.run_program.GRACE_SECONDS", 0.3)
    file = program(tmp_path / "p", "trap '' TERM; while :; do sleep 0.05; done")
    assert ran(file, timeout=0.3)[0].reason == "took longer than 0.3 s"


def test_a_program_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    ended, _ = ran(program(tmp_path / "p", "yes"), keep=1000)
    assert ended.reason == "printed more than 1000 bytes"
    assert len(ended.output) <= 1000


def test_a_program_is_ended_when_the_agent_stops(tmp_path: Path) -> None:
    marker = tmp_path / "runs"
    file = program(tmp_path / "p", f"touch {marker}; sleep 60")
    ended, _ = ran(file, stopping=marker.exists)
    assert ended.reason == "was interrupted, for the agent stops"


def test_who_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    ended, lines = ran(program(tmp_path / "p", "echo done; sleep 30 & exit 0"))
    assert (ended.reason, lines) == (None, ["done"])
    assert time.monotonic() - began < 15


def test_a_program_is_given_no_secret_of_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "hunter2")
    monkeypatch.setenv("FACTSTORE_GRANT", "id.hunter2")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("OS_ENDPOINT", "http://here")
    ended, _ = ran(program(tmp_path / "p", "env"), keep=100_000, env={"GIVEN": "1"})
    assert b"hunter2" not in ended.output
    assert b"NOTIFY_SOCKET" not in ended.output
    assert b"OS_ENDPOINT=http://here" in ended.output
    assert b"GIVEN=1" in ended.output


def test_what_is_handed_on_moves_no_cursor_and_has_an_end(tmp_path: Path) -> None:
    script = r"printf 'a\033[2Jb\r\nc\377\n'; head -c 10000 /dev/zero | tr '\0' x"
    _, lines = ran(program(tmp_path / "p", script))
    assert lines[0] == "a [2Jb"
    assert "".join(lines[2:]) == "x" * 10_000
    assert max(map(len, lines)) <= 4096


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    file = program(tmp_path / "p", f"exec >&- 2>&-; sleep 0.3; touch {tmp_path}/done; exit 4")
    assert ran(file)[0].reason == "ended with status 4"
    assert (tmp_path / "done").exists()
