"""Tasks: when they run, when they are repeated, and what is logged."""

from __future__ import annotations

import math
import threading

import pytest

from factstore.agent.error_log import ErrorLog
from factstore.agent.scheduler import Task, Worker
from factstore.client.clock import SystemClock
from tests.unit.client.stub import FakeClock


class Failing:
    """An action with a count of its runs, which fails with the given errors first."""

    def __init__(self, *errors: Exception, pause: float | None = None) -> None:
        self.errors = list(errors)
        self.pause = pause
        self.runs = 0

    def __call__(self) -> float | None:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.pause


@pytest.fixture
def worker(clock: FakeClock) -> Worker:
    return Worker(clock, ErrorLog(clock), (OSError,))


def test_a_task_runs_when_it_was_requested_and_then_after_its_pause(
    worker: Worker, clock: FakeClock
) -> None:
    action = Failing(pause=60)
    task = worker.add("x", action)
    assert worker.run_due() == math.inf
    worker.request(task)
    assert worker.run_due() == 60
    assert worker.run_due() == 60
    clock.now += 60
    worker.run_due()
    assert action.runs == 2


def test_the_earliest_of_several_requests_counts(worker: Worker, clock: FakeClock) -> None:
    action = Failing()
    task = worker.add("x", action)
    for delay in (30, 10, 20):
        worker.request(task, delay)
    assert worker.run_due() == 10
    clock.now += 10
    assert worker.run_due() == math.inf
    assert action.runs == 1


def test_a_request_during_a_run_results_in_another_run(worker: Worker) -> None:
    runs = []

    def action() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            worker.request(task)
            worker.request(task)

    task: Task = worker.add("x", action)
    worker.request(task)
    worker.run_due()
    worker.run_due()
    assert worker.run_due() == math.inf
    assert len(runs) == 2


def test_a_failed_task_is_repeated_after_growing_pauses(worker: Worker, clock: FakeClock) -> None:
    action = Failing(*[OSError("broken")] * 10, pause=60)
    worker.request(worker.add("x", action))
    pauses = []
    for _ in range(10):
        pauses.append(worker.run_due())
        clock.now += pauses[-1]
    assert 0.5 <= pauses[0] <= 1
    assert 15 <= pauses[-1] <= 30
    assert worker.run_due() == 60


def test_pauses_have_a_limit_even_if_the_service_asks_for_longer_ones(worker: Worker) -> None:
    error = OSError("busy")
    error.retry_after = 100  # type: ignore[attr-defined]
    limited, unlimited = (worker.add(str(each), Failing(error), None, each) for each in (10, 1e9))
    worker.request(limited)
    assert worker.run_due() == 10
    limited.due = math.inf
    worker.request(unlimited)
    assert worker.run_due() >= 100


def test_an_error_that_is_not_retryable_ends_the_worker(worker: Worker) -> None:
    worker.request(worker.add("x", Failing(ValueError("fatal"))))
    with pytest.raises(ValueError, match="fatal"):
        worker.run()


def test_a_stopped_worker_runs_no_more_tasks() -> None:
    clock = SystemClock()
    worker = Worker(clock, ErrorLog(clock), (OSError,))
    first = worker.add("first", lambda: worker.stop())
    second = Failing()
    worker.request(first)
    worker.request(worker.add("second", second))
    thread = threading.Thread(target=worker.run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert second.runs == 0


def test_a_waiting_worker_can_be_stopped_by_another_thread() -> None:
    clock = SystemClock()
    worker = Worker(clock, ErrorLog(clock), (OSError,))
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_a_failure_is_logged_once_and_so_is_the_success_after_it(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    log = ErrorLog(clock)
    with caplog.at_level("INFO", "factstore"):
        for number in range(5):
            log.failed("x", OSError(f"object at <a.B object at 0x{number}f>: broken"))
        clock.sleep(700)
        log.failed("x", OSError("still"))
        log.failed("x", ValueError("other"))
        log.succeeded("x")
        log.succeeded("x")
    assert [record.getMessage() for record in caplog.records] == [
        "x failed: object at broken",
        "x failed: still",
        "x failed: other",
        "x succeeded after earlier failures",
    ]
