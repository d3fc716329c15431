"""The loop of the parts of a worker that act by themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import pytest

from factstore.core.errors import Conflict, Unavailable
from factstore.core.services.control_loop import ControlLoop
from tests.eventually import eventually

NEVER = 3600.0


class Counter(ControlLoop):
    """Counts its rounds, of which some fail."""

    name = "counter"
    delayed = "nothing is counted yet"

    def __init__(self, pause: float, problems: Iterable[Exception] = ()) -> None:
        super().__init__(threading.Event, pause)
        self.rounds = 0
        self._problems = iter(problems)

    def run_round(self) -> float:
        self.rounds += 1
        for problem in self._problems:
            raise problem
        return NEVER


@pytest.fixture
def started() -> Iterator[Callable[[Counter], Counter]]:
    loops: list[Counter] = []

    def start(loop: Counter) -> Counter:
        loops.append(loop)
        loop.start()
        return loop

    yield start
    for loop in loops:
        loop.stop()
        assert not loop.alive


def test_a_round_begins_after_its_pause_or_when_somebody_wakes_the_loop(
    started: Callable[[Counter], Counter],
) -> None:
    loop = started(Counter(NEVER))
    assert (loop.alive, loop.rounds) == (True, 0)
    for rounds in (1, 2, 3):
        loop.wake()
        eventually(lambda rounds=rounds: loop.rounds == rounds)  # type: ignore[misc]
    assert loop.alive


def test_a_loop_survives_rounds_that_fail_and_repeats_them(
    started: Callable[[Counter], Counter], caplog: pytest.LogCaptureFixture
) -> None:
    problems = [Unavailable("away"), Conflict("refused"), KeyError("a fault")]
    with caplog.at_level("DEBUG"):
        loop = started(Counter(0.01, problems))
        eventually(lambda: loop.rounds == len(problems) + 1)
    levels = [each.levelname for each in caplog.records if "counted" in each.message]
    assert levels == ["DEBUG", "INFO", "ERROR"]


def test_a_loop_that_was_stopped_can_be_started_again(
    started: Callable[[Counter], Counter],
) -> None:
    loop = started(Counter(NEVER))
    loop.stop()
    assert not loop.alive
    loop.start()
    loop.wake()
    eventually(lambda: loop.rounds == 1)
