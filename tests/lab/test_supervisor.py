"""The supervisor's loop, in this process: restarts, back-off, signals."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from factstore.cmd.processes.process import Child, ChildError
from factstore.cmd.supervisor import StopRequested, Supervisor


class Lines:
    """The output of the supervisor; asks it to stop after a number of lines."""

    def __init__(self, stop_after: int) -> None:
        self.said: list[str] = []
        self._stop_after = stop_after

    def __call__(self, line: str) -> None:
        self.said.append(line)
        if len(self.said) == self._stop_after:
            signal.raise_signal(signal.SIGTERM)


def test_a_child_that_keeps_dying_is_given_more_and_more_time(tmp_path: Path) -> None:
    lines, child = Lines(stop_after=3), Child("a weakling")
    with Supervisor(lines) as supervisor:
        supervisor.start(
            child,
            lambda: child.start(["false"], log_path=tmp_path / "log"),
            stop_within=1,
            restart=True,
        )
        supervisor.run()
    assert lines.said == [
        f"a weakling ended with status 1; starting it again in {delay} s"
        for delay in ("0.1", "0.2", "0.4")
    ]


def test_a_child_that_cannot_even_be_started_is_tried_again(tmp_path: Path) -> None:
    lines, child = Lines(stop_after=3), Child("a program being upgraded")
    programs = iter(["true", "missing", "missing"])
    with Supervisor(lines) as supervisor:
        supervisor.start(
            child,
            lambda: child.start([next(programs)], log_path=tmp_path / "log"),
            stop_within=1,
            restart=True,
        )
        supervisor.run()
    assert ["the program missing was not found" in line for line in lines.said] == [
        False,
        True,
        True,
    ]


def test_the_end_of_a_child_without_restart_is_the_end(tmp_path: Path) -> None:
    precious, other = Child("the precious one"), Child("another")
    log = tmp_path / "log"
    with Supervisor(Lines(1)) as supervisor:
        supervisor.start(
            other,
            lambda: other.start(["sleep", "600"], log_path=log),
            stop_within=1,
            restart=True,
        )
        supervisor.start(
            precious,
            lambda: precious.start(["sh", "-c", "echo farewell"], log_path=log),
            stop_within=1,
            restart=False,
        )
        with pytest.raises(ChildError, match=r"the precious one ended with status 0; .*\nfarewell"):
            supervisor.run()
        assert other.running
    assert not other.running


def test_after_a_signal_nothing_is_started() -> None:
    with Supervisor(Lines(1)) as supervisor:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StopRequested):
            supervisor.start(Child("late"), pytest.fail, stop_within=1, restart=False)


def test_a_signal_ends_a_wait_at_once() -> None:
    with Supervisor(Lines(1)) as supervisor:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopRequested):
            supervisor.pause(600)


def test_a_signal_before_the_loop_is_not_lost() -> None:
    with Supervisor(Lines(1)) as supervisor:
        signal.raise_signal(signal.SIGTERM)
        supervisor.run()


def test_it_leaves_the_signals_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Supervisor(Lines(1)):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
