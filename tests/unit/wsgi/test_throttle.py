"""The throttle's cost of each request, its queue, and the end of a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.core.model.fact import Scope
from factstore.core.model.quota import UNLIMITED
from factstore.core.operations.running_writes import RunningWrites
from factstore.core.services.rate_limit import (
    HEARTBEAT_UNITS,
    MAX_DELAY_SECONDS,
    Allowance,
    RateLimiter,
)
from factstore.wsgi.fair_queue import Flow
from factstore.wsgi.middleware.throttle import REFUSAL_SECONDS, Throttle, is_heartbeat
from factstore.wsgi.scheduler import ThreadScheduler
from tests.unit.core.factories import ManualClock

HEARTBEAT = "/v1/stacks/s/members/c1/heartbeat"


class BusyScheduler(ThreadScheduler):
    """A scheduler in which all requests but heartbeats wait behind one that has waited for a time."""

    def __init__(self, age: float, waits: Callable[[], object]) -> None:
        self._age = age
        self._waits = waits
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self._waits()
        self.pauses.append(seconds)

    def start(self, flow: Flow) -> bool:
        self._waits()
        return not flow[1]

    def age(self, flow: Flow) -> float:
        return 0.0 if flow[1] else self._age


class Service:
    """A throttle before an application that answers everything with 204."""

    def __init__(self, age: float = 0.0, blocking: int = UNLIMITED, **allowed: int) -> None:
        allowance = Allowance(**allowed)
        clock = ManualClock()
        admission = RateLimiter(lambda project_id: allowance, clock, blocking=blocking)
        self.running = RunningWrites(clock)
        self.written: list[bool] = []  # whether a write of stack s was running, at each wait
        scheduler = BusyScheduler(age, lambda: self.written.append(self.is_written("s")))
        self.pauses = scheduler.pauses
        self._throttle = Throttle(self._application, admission, scheduler, self.running)

    def is_written(self, stack: str) -> bool:
        """Return True if a write of a stack is running."""
        return self.running.oldest(Scope("p", stack)) < math.inf

    def _application(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> list[bytes]:
        assert not self.is_written("s"), "the transactor notes that itself"
        start_response("204 No Content", [])
        return []

    def __call__(self, method: str, path: str, length: int = 0) -> str:
        """Send a request of project p; return its status."""
        statuses: list[str] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "CONTENT_LENGTH": str(length),
            ENVIRON_KEY: Identity("user", "p", ("member",)),
        }
        list(self._throttle(environ, lambda status, headers, *error: statuses.append(status)))
        return statuses[0][:3]


def test_a_flood_of_puts_does_not_silence_members() -> None:
    service = Service(requests_per_second=2, burst=2)
    answers = [service("PUT", "/v1/stacks/s/facts/a") for _ in range(20)]
    assert answers[-1] == "429"
    service.pauses.clear()
    assert service("POST", HEARTBEAT) == "204"
    assert not service.pauses
    assert service("PUT", "/v1/stacks/s/facts/a") == "429"


def test_where_no_request_may_wait_one_above_the_rate_is_refused_at_once_and_not_charged() -> None:
    service = Service(blocking=0, requests_per_second=1, burst=1)
    answers = [service("PUT", "/v1/stacks/s/facts/a") for _ in range(20)]
    assert answers == ["204", "204", *["503"] * 18]  # with the debt of all 20 it would be 429
    assert not service.pauses


def test_a_flood_of_heartbeats_is_held_up_and_then_refused() -> None:
    service = Service(requests_per_second=2, burst=2)
    at_once = int(2 / HEARTBEAT_UNITS)
    assert {service("POST", HEARTBEAT) for _ in range(at_once)} == {"204"}
    assert not service.pauses
    answers = [service("POST", HEARTBEAT) for _ in range(40)]
    assert answers[0] == "204"
    assert answers[-1] == "429"
    assert service.pauses[-1] == REFUSAL_SECONDS
    assert service("PUT", "/v1/stacks/s/facts/a") == "204"


def test_a_heartbeat_pays_for_its_body() -> None:
    service = Service(requests_per_second=2, burst=2)
    assert service("POST", HEARTBEAT, 1_000_000) == "204"
    assert service("POST", HEARTBEAT) == "429"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", HEARTBEAT),
        ("GET", HEARTBEAT),
        ("POST", f"{HEARTBEAT}/"),
        ("POST", f"/mounted{HEARTBEAT}"),
        ("POST", "/v1/stacks/s/members/c1/x/heartbeat"),
        ("POST", "/v1/stacks/s/members/heartbeat"),
        ("POST", "/v1/stacks/s/waiters/c1/heartbeat"),
        ("POST", f"{HEARTBEAT}\n"),
        ("PUT", "/v1/stacks/s/facts/members/c1/heartbeat"),
    ],
)
def test_a_request_that_resembles_a_heartbeat_counts_in_full(method: str, path: str) -> None:
    assert not is_heartbeat({"REQUEST_METHOD": method, "PATH_INFO": path})
    service = Service(requests_per_second=2, burst=2)
    served = 2 + 2 * round(MAX_DELAY_SECONDS) + 1
    assert [service(method, path) for _ in range(served + 1)] == ["204"] * served + ["429"]


def test_a_project_whose_requests_wait_for_too_long_is_refused_until_they_are_served() -> None:
    service = Service(age=MAX_DELAY_SECONDS + 0.5)
    assert service("GET", "/v1/stacks") == "429"
    assert service.pauses == [REFUSAL_SECONDS]
    assert service("POST", HEARTBEAT) == "204"
    assert Service(age=MAX_DELAY_SECONDS - 0.5)("GET", "/v1/stacks") == "204"


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("PUT", "/v1/stacks/s/members/c1", True),
        ("POST", "/v1/stacks/s/batch", True),
        ("DELETE", "/v1/stacks/s", True),
        ("PATCH", "/v1/stacks/s/a/\n", True),
        ("GET", "/v1/stacks/s/context", False),
        ("HEAD", "/v1/stacks/s/context", False),
        ("POST", HEARTBEAT, False),
        ("PUT", "/v1/stacks/s2/members/c1", False),
        ("POST", "/v1/subscriptions", False),
    ],
)
def test_a_stack_is_written_while_a_write_waits_for_its_turn(
    method: str, path: str, writes: bool
) -> None:
    service = Service(requests_per_second=1, burst=1)
    assert [service(method, path, 4096) for _ in range(2)] == ["204"] * 2
    assert len(service.pauses) == 1
    assert service.written == [writes] * 3, "the second one is delayed, too"
    refused = Service(age=MAX_DELAY_SECONDS + 0.5)
    if path != HEARTBEAT:
        assert refused(method, path) == "429"
    assert not refused.is_written("s")
