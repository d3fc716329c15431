"""Child processes, and the guarantees for their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factstore.cmd.processes.process import Child, ChildError, run_to_end
from tests.eventually import eventually
from tests.processes import alive

SLEEP = ("sleep", "600")
DEAF = """\
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
signal.pause()
"""
SUPERVISOR = """\
import signal, sys
from pathlib import Path
from factstore.cmd.processes.process import Child
child = Child("sleeper")
child.start(["sleep", "600"], log_path=Path(sys.argv[1]))
print(child.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child("the child")
    yield child
    child.kill()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "child.log"


def test_a_child_ends_when_asked_to(child: Child, log: Path) -> None:
    child.start(SLEEP, log_path=log)
    assert child.running
    assert child.terminate() == -signal.SIGTERM
    assert not child.running


def test_a_child_that_ignores_the_request_is_killed_at_the_deadline(
    child: Child, log: Path
) -> None:
    child.start([sys.executable, "-c", DEAF], log_path=log)
    eventually(lambda: child.tail() == "deaf")
    assert child.terminate(deadline=0.1) == -signal.SIGKILL


def test_a_paused_child_has_stopped(child: Child, log: Path) -> None:
    child.start(SLEEP, log_path=log)
    for _ in range(20):
        child.pause()
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        assert stat.rpartition(")")[2].split()[0] == "T"
        child.resume()


def test_a_paused_child_ends_when_asked_to(child: Child, log: Path) -> None:
    child.start(SLEEP, log_path=log)
    child.pause()
    assert child.terminate() == -signal.SIGTERM


def test_a_child_cannot_be_started_twice_at_the_same_time(child: Child, log: Path) -> None:
    child.start(SLEEP, log_path=log)
    with pytest.raises(ChildError, match="already running"):
        child.start(SLEEP, log_path=log)


def test_a_child_can_be_started_again_after_its_end(child: Child, log: Path) -> None:
    child.start(SLEEP, log_path=log)
    first = child.pid
    child.kill()
    child.start(SLEEP, log_path=log)
    assert child.running
    assert child.pid != first


def test_threads_may_look_at_a_child_while_it_ends(child: Child, log: Path) -> None:
    def look(_: int) -> int:
        while (status := child.poll()) is None:
            pass
        return status

    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            child.start(("true",), log_path=log)
            assert set(threads.map(look, range(4))) == {0}


def test_a_program_that_does_not_exist_is_an_error_at_start(child: Child, log: Path) -> None:
    with pytest.raises(ChildError, match="the program no-such-program was not found"):
        child.start(["no-such-program"], log_path=log)


def test_the_tail_shows_this_run_and_no_earlier_one(child: Child, log: Path) -> None:
    for word in ("first", "second"):
        child.start(["echo", word], log_path=log)
        assert child.wait(60) == 0
    assert child.tail() == "second"
    assert log.read_text() == "first\nsecond\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_child_that_ends_before_it_is_ready_is_quoted(child: Child, log: Path) -> None:
    child.start(["sh", "-c", "echo no disk; exit 3"], log_path=log)
    with pytest.raises(ChildError, match=r"ended with status 3; .*\nno disk"):
        child.wait_until(lambda: False, deadline=60)


def test_a_child_that_is_not_ready_in_time_is_quoted(child: Child, log: Path) -> None:
    child.start(["sh", "-c", "echo still trying; exec sleep 600"], log_path=log)
    eventually(child.tail)
    with pytest.raises(ChildError, match=r"not ready after 0.05 s; .*\nstill trying"):
        child.wait_until(lambda: False, deadline=0.05)


def test_an_answer_of_another_process_does_not_count_as_ready(child: Child, log: Path) -> None:
    child.start(["false"], log_path=log)
    child.wait(60)
    with pytest.raises(ChildError, match="ended with status 1"):
        child.wait_until(lambda: True, deadline=60)


def test_the_group_of_an_ended_child_ends_too(child: Child, log: Path) -> None:
    child.start(["sh", "-c", "sleep 600 & echo $!"], log_path=log)
    assert child.wait(60) == 0
    left_behind = int(child.tail())
    eventually(lambda: not alive(left_behind))


def test_the_offspring_are_the_direct_children(child: Child, log: Path) -> None:
    child.start(["sh", "-c", "sleep 600 & echo $!; wait"], log_path=log)
    eventually(child.tail)
    assert child.children() == [int(child.tail())]


def test_a_child_does_not_outlive_a_supervisor_that_was_killed(log: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(log)], stdout=subprocess.PIPE, text=True
    )
    with supervisor:
        assert supervisor.stdout is not None
        orphan = int(supervisor.stdout.readline())
        assert alive(orphan)
        supervisor.kill()
    eventually(lambda: not alive(orphan))


def test_a_child_is_out_of_reach_of_the_terminal(child: Child, log: Path) -> None:
    child.start(SLEEP, log_path=log)
    assert os.getsid(child.pid) == child.pid


def test_a_program_that_should_end_is_killed_when_the_wait_is_given_up(
    child: Child, log: Path
) -> None:
    class GivenUp(Exception):
        pass

    def give_up(_seconds: float) -> None:
        raise GivenUp

    with pytest.raises(GivenUp):
        run_to_end(child, SLEEP, log_path=log, deadline=60, pause=give_up)
    assert child.poll() == -signal.SIGKILL


def test_a_program_that_fails_is_quoted(child: Child, log: Path) -> None:
    with pytest.raises(ChildError, match="bad schema"):
        run_to_end(child, ["sh", "-c", "echo bad schema; exit 1"], log_path=log, deadline=60)
