"""Running programs with limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.system.program_output import FIRST_LINES, LAST_LINES
from factstore.agent.system.run_program import ProgramResult, run_program
from factstore.client.clock import SystemClock
from tests.eventually import eventually
from tests.processes import alive
from tests.unit.agent.factories import REAL, program

DYING = """
import os, signal, sys
from pathlib import Path
from factstore.agent.system.run_program import run_program
from factstore.client.clock import SystemClock

def die(pid):
    print(pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

run_program(Path(sys.argv[1]), clock=SystemClock(), timeout=20, env={}, on_line=print, on_start=die)
"""
"""A program that starts another one and is killed while recording its process id."""


def ran(file: Path, **more: Any) -> tuple[ProgramResult, list[str]]:
    lines: list[str] = []
    options = {"timeout": 60.0, "env": {}, "clock": REAL, **more}
    return run_program(file, on_line=lines.append, **options), lines


def test_stdout_is_captured_and_stderr_is_passed_on_line_by_line(tmp_path: Path) -> None:
    file = program(tmp_path / "p", "echo out; echo one >&2; printf two >&2")
    assert ran(file, capture=100) == (ProgramResult(None, b"out\n"), ["one", "two"])


def test_all_output_is_passed_on_unless_it_is_captured(tmp_path: Path) -> None:
    ended, lines = ran(program(tmp_path / "p", "echo out; echo err >&2"))
    assert ended == ProgramResult(None)
    assert sorted(lines) == ["err", "out"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 3", "exited with status 3"), ("kill -9 $$", "was killed by signal 9")],
)
def test_a_failed_program_is_reported(tmp_path: Path, script: str, reason: str) -> None:
    assert ran(program(tmp_path / "p", script))[0].failure == reason


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#!/nowhere/interpreter\n", "needs /nowhere/interpreter, which does not exist"),
        (b"#!/bin/sh\r\ntrue\r\n", "has lines that end with CR LF: convert it, "),
        (b"\xef\xbb\xbf#!/bin/sh\n", "begins with a byte order mark: save it as UTF-8 without one"),
        (b"", "does not begin with #! and an interpreter, such as #!/bin/sh"),
        (b"#!/etc\n", "needs /etc, which is not executable"),
    ],
)
def test_a_program_that_cannot_be_executed_is_reported(
    tmp_path: Path, content: bytes, why: str, gated: bool
) -> None:
    file = program(tmp_path / "p", "")
    file.write_bytes(content)
    told: list[int] = []
    failure = ran(file, on_start=told.append if gated else None)[0].failure
    assert failure is not None
    assert failure.startswith(f"cannot be executed: it {why}")
    assert len(told) == gated


def test_a_program_that_may_not_be_executed_is_reported(tmp_path: Path) -> None:
    file = program(tmp_path / "p", "")
    file.chmod(0o600)
    assert ran(file)[0].failure == "cannot be executed: Permission denied"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#!/usr/bin/env sh\r\n", "has lines that end with CR LF"),
        (b"#!/usr/bin/env no-such-program\n", "needs no-such-program, which is not in the PATH"),
    ],
)
def test_an_interpreter_that_env_does_not_find_is_named(
    tmp_path: Path, content: bytes, why: str
) -> None:
    file = program(tmp_path / "p", "")
    file.write_bytes(content)
    assert f"exited with status 127: it {why}" in (ran(file)[0].failure or "")


def test_a_program_is_executed_after_its_process_id_was_recorded(tmp_path: Path) -> None:
    def note(pid: int) -> None:
        with pytest.raises(AssertionError):
            eventually((tmp_path / "began").exists, within=0.5)
        (tmp_path / "noted").write_text(f"{pid}\n")

    script = f"touch {tmp_path}/began; cat {tmp_path}/noted; echo $$"
    ended, _ = ran(program(tmp_path / "p", script), capture=100, on_start=note)
    pid = (tmp_path / "noted").read_bytes()
    assert ended == ProgramResult(None, pid + pid)


def test_a_program_whose_process_id_cannot_be_recorded_is_not_executed(tmp_path: Path) -> None:
    told: list[int] = []

    def refuse(pid: int) -> None:
        told.append(pid)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ran(program(tmp_path / "p", f"touch {tmp_path}/began"), on_start=refuse)
    assert not alive(told[0])
    assert not (tmp_path / "began").exists()


def test_a_program_whose_agent_dies_before_recording_it_is_not_executed(tmp_path: Path) -> None:
    file = program(tmp_path / "p", f"touch {tmp_path}/began")
    starter = subprocess.run(
        [sys.executable, "-c", DYING, str(file)], stdout=subprocess.PIPE, check=False
    )
    assert starter.returncode == -signal.SIGKILL
    eventually(lambda: not alive(int(starter.stdout)))
    assert not (tmp_path / "began").exists()


def test_a_program_has_the_same_environment_with_and_without_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    script = (
        "env | sort | grep -v ^_=; readlink /proc/self/fd/0; ls /proc/$$/fd; echo $0; pwd; "
        "grep Sig[BIC] /proc/self/status; cut -d' ' -f5,6 /proc/$$/stat | sed s/$$/own/g"
    )
    file = program(tmp_path / "p", script)
    plain, noted = (
        ran(file, capture=100_000, on_start=each)[0] for each in (None, lambda pid: None)
    )
    assert plain.output.splitlines() == noted.output.splitlines()
    assert plain.output.endswith(b"own own\n")


def test_a_program_that_takes_too_long_is_terminated_with_its_children(tmp_path: Path) -> None:
    class Clock(SystemClock):
        """Shows a later time once the program is ready, but not when it is asked first."""

        asked = False

        def monotonic(self) -> float:
            late, self.asked = self.asked and (tmp_path / "ready").exists(), True
            return super().monotonic() + 100 * late

    script = f"sleep 60 & echo $! > {tmp_path}/pid; touch {tmp_path}/ready; wait"
    ended, _ = ran(program(tmp_path / "p", script), timeout=90, clock=Clock())
    assert ended.failure == "took longer than 90 s"
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not alive(pid))


def test_process_groups_of_a_program_are_terminated_and_its_daemons_are_not(tmp_path: Path) -> None:
    begin = f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/daemon; exec sleep 60"
    script = f"""
        set -m
        sleep 60 & echo $! > {tmp_path}/job
        setsid sh -c '{begin}' &
        wait
        """
    # The daemon has a session of its own once it has written its process id.
    ended, _ = ran(program(tmp_path / "p", script), should_stop=(tmp_path / "daemon").exists)
    job, daemon = (int((tmp_path / name).read_text()) for name in ("job", "daemon"))
    try:
        assert ended.failure == "was interrupted because the agent is stopping"
        assert eventually(lambda: not alive(job))
        assert alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_program_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factstore.agent.system.run_program.GRACE_SECONDS", 0.3)
    file = program(tmp_path / "p", "trap '' TERM; while :; do sleep 0.05; done")
    assert ran(file, timeout=0.3)[0].failure == "took longer than 0.3 s"


def test_a_program_that_prints_too_much_is_terminated(tmp_path: Path) -> None:
    ended, _ = ran(program(tmp_path / "p", "yes"), capture=1000)
    assert ended.failure == "printed more than 1000 bytes"
    assert len(ended.output) <= 1000


def test_a_program_is_terminated_when_the_agent_stops(tmp_path: Path) -> None:
    marker = tmp_path / "runs"
    file = program(tmp_path / "p", f"touch {marker}; sleep 60")
    ended, _ = ran(file, should_stop=marker.exists)
    assert ended.failure == "was interrupted because the agent is stopping"


def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    ended, lines = ran(program(tmp_path / "p", "echo done; sleep 100 & exit 0"))
    assert (ended.failure, lines, ended.left_running) == (None, ["done"], True)
    assert time.monotonic() - began < 90  # the child sleeps longer


@pytest.mark.parametrize("capture", [0, 100])
def test_a_child_that_goes_on_printing_lives(tmp_path: Path, capture: int) -> None:
    script = f"""
        (until test -e {tmp_path}/ended; do sleep 0.05; done
         printf '%200000s\\n' x; echo x >&2; touch {tmp_path}/alive) &
        """
    ended, _ = ran(program(tmp_path / "p", script), capture=capture)
    assert ended == ProgramResult(None, left_running=True)
    (tmp_path / "ended").touch()
    assert eventually((tmp_path / "alive").exists)


def test_of_very_many_lines_the_first_and_the_last_are_passed_on(tmp_path: Path) -> None:
    _, lines = ran(program(tmp_path / "p", "seq 300000"))
    assert lines[:2] == ["1", "2"]
    assert lines[-1] == "300000"
    assert lines[FIRST_LINES] == f"[{300000 - FIRST_LINES - LAST_LINES} lines left out of the log]"
    assert len(lines) == FIRST_LINES + 1 + LAST_LINES


def test_very_long_lines_are_bounded_too(tmp_path: Path) -> None:
    _, lines = ran(
        program(tmp_path / "p", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end")
    )
    assert sum(map(len, lines)) < 200_000
    assert lines[-1] == "end"


def test_a_program_does_not_inherit_the_agents_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "hunter2")
    monkeypatch.setenv("FACTSTORE_GRANT", "id.hunter2")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("OS_ENDPOINT", "http://here")
    ended, _ = ran(program(tmp_path / "p", "env"), capture=100_000, env={"GIVEN": "1"})
    assert b"hunter2" not in ended.output
    assert b"NOTIFY_SOCKET" not in ended.output
    assert b"OS_ENDPOINT=http://here" in ended.output
    assert b"GIVEN=1" in ended.output


def test_lines_contain_no_control_characters_and_have_a_limit(tmp_path: Path) -> None:
    script = r"printf 'a\033[2Jb\r\nc\377\n'; head -c 10000 /dev/zero | tr '\0' x"
    _, lines = ran(program(tmp_path / "p", script))
    assert lines[0] == "a [2Jb"
    assert "".join(lines[2:]) == "x" * 10_000
    assert max(map(len, lines)) <= 4096


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    file = program(tmp_path / "p", f"exec >&- 2>&-; sleep 0.3; touch {tmp_path}/done; exit 4")
    assert ran(file)[0].failure == "exited with status 4"
    assert (tmp_path / "done").exists()
