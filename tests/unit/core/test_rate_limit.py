"""Rates and bounds, on a clock that the test advances."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Throttled
from factstore.core.services import rate_limit
from factstore.core.services.open_requests import STACK_PATTERNS
from factstore.core.services.rate_limit import (
    HEARTBEAT_UNITS,
    MAX_DELAY_SECONDS,
    REQUEST_BYTES_A_UNIT,
    RESPONSE_BYTES_A_UNIT,
    Allowance,
    RateLimiter,
    no_allowances,
)
from tests.unit.core.factories import ManualClock


def make(clock: ManualClock, **allowed: float) -> RateLimiter:
    return RateLimiter(lambda project_id: Allowance(**allowed), clock)  # type: ignore[arg-type]


def test_a_burst_is_served_at_once_and_later_requests_are_delayed() -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=10, burst=3)
    assert [limiter.request("p", 0) for _ in range(3)] == [0, 0, 0]
    assert [limiter.request("p", 0) for _ in range(3)] == [0, 0.1, 0.2]


def test_a_request_that_would_be_delayed_is_neither_accepted_at_once_nor_charged() -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=10, burst=2)
    assert [limiter.request_at_once("p", 0) for _ in range(4)] == [True, True, True, False]
    assert limiter.request_at_once("p", 0, heartbeat=True)
    assert limiter.request("p", 0) == pytest.approx(0.1)
    clock.advance(0.3)
    assert limiter.request_at_once("p", 5 * REQUEST_BYTES_A_UNIT)
    assert limiter.request("p", 0) == pytest.approx(0.5)
    limiter.cancel("p", 5 * REQUEST_BYTES_A_UNIT)
    assert limiter.request("p", 0) == pytest.approx(0)
    assert make(clock).request_at_once("p", 10**9)


def test_a_project_with_a_large_debt_is_refused_with_retry_after() -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=2, burst=1)
    delays = [limiter.request("p", 0) for _ in range(2 + 2 * round(MAX_DELAY_SECONDS))]
    assert delays == [0, *(number / 2 for number in range(len(delays) - 1))]
    assert delays[-1] == MAX_DELAY_SECONDS
    with pytest.raises(Throttled) as refused:
        limiter.request("p", 0)
    assert refused.value.code == "rate_limited"
    assert refused.value.extra["retry_after"] == MAX_DELAY_SECONDS + 1
    clock.advance(MAX_DELAY_SECONDS + 1)
    assert limiter.request("p", 0) == 0


def test_each_project_has_a_rate_of_its_own() -> None:
    limiter = make(ManualClock(), requests_per_second=1, burst=1)
    limiter.request("p", 10 * REQUEST_BYTES_A_UNIT)
    with pytest.raises(Throttled):
        limiter.request("p", 0)
    assert limiter.request("q", 0) == 0


def test_a_body_is_charged_afterwards_and_never_refused_for_its_size() -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=10, burst=1)
    assert limiter.request("p", 100 * REQUEST_BYTES_A_UNIT) == 0
    with pytest.raises(Throttled) as refused:
        limiter.request("p", 0)
    assert refused.value.extra["retry_after"] == 10
    clock.advance(10)
    assert limiter.request("p", 0) == 0
    limiter.answered("p", 5 * RESPONSE_BYTES_A_UNIT)
    assert limiter.request("p", 0) == pytest.approx(0.6)


def test_heartbeats_are_accepted_after_the_project_used_up_its_rate() -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=10, burst=10)
    limiter.request("p", 10**9)
    with pytest.raises(Throttled):
        limiter.request("p", 0)
    assert [limiter.request("p", 0, heartbeat=True) for _ in range(20)] == [0] * 20


def test_heartbeats_do_not_use_up_the_rate_of_other_requests() -> None:
    limiter = make(ManualClock(), requests_per_second=1, burst=1)
    limiter.request("p", 10**9, heartbeat=True)
    with pytest.raises(Throttled):
        limiter.request("p", 0, heartbeat=True)
    assert limiter.request("p", 0) == 0


def test_heartbeats_have_a_rate_and_a_burst_and_count_half_a_unit() -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=10, burst=2)
    burst, delayed = int(2 / HEARTBEAT_UNITS), int(10 * MAX_DELAY_SECONDS / HEARTBEAT_UNITS)
    delays = [limiter.request("p", 0, heartbeat=True) for _ in range(burst + delayed + 1)]
    assert delays[:burst] == [0] * burst
    assert delays[-1] == MAX_DELAY_SECONDS
    with pytest.raises(Throttled, match="more than 20 heartbeats a second") as refused:
        limiter.request("p", 0, heartbeat=True)
    assert refused.value.code == "rate_limited"
    clock.advance(float(refused.value.extra["retry_after"]))  # type: ignore[arg-type]
    assert limiter.request("p", 0, heartbeat=True) == 0


def test_bodies_of_heartbeats_are_charged_like_others() -> None:
    limiter = make(ManualClock(), requests_per_second=10, burst=1)
    assert limiter.request("p", 5 * REQUEST_BYTES_A_UNIT, heartbeat=True) == 0
    assert limiter.request("p", 0, heartbeat=True) == pytest.approx((4 + HEARTBEAT_UNITS) / 10)
    limiter.answered("p", 5 * RESPONSE_BYTES_A_UNIT, heartbeat=True)
    owed = (9 + 2 * HEARTBEAT_UNITS) / 10
    assert limiter.request("p", 0, heartbeat=True) == pytest.approx(owed)
    assert limiter.request("p", 0) == 0


def test_an_unlimited_project_is_not_counted() -> None:
    limiter = make(ManualClock())
    assert [limiter.request("p", 10**9) for _ in range(1000)] == [0] * 1000
    assert limiter.request("p", 10**9, heartbeat=True) == 0
    limiter.answered("p", 10**9)
    assert not limiter._buckets


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 4)), max_size=200),
    st.integers(1, 50),
    st.integers(1, 20),
)
def test_requests_never_exceed_rate_and_burst_in_any_period(
    moves: list[tuple[float, int]], rate: int, burst: int
) -> None:
    clock = ManualClock()
    limiter = make(clock, requests_per_second=rate, burst=burst)
    served: list[float] = []
    for pause, requests in moves:
        clock.advance(pause)
        for _ in range(requests):
            try:
                served.append(clock.now + limiter.request("p", 0))
            except Throttled:
                continue
    for first, began in enumerate(served):
        for last in range(first, len(served)):
            span = served[last] - began
            assert last - first + 1 <= burst + 1 + rate * span + 1e-6


def test_full_buckets_are_deleted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_FORGET_ABOVE", 2)
    clock = ManualClock()
    limiter = make(clock, requests_per_second=1, burst=1)
    limiter.request("old", 0)
    clock.advance(5)
    limiter.request("busy", 10 * REQUEST_BYTES_A_UNIT)
    limiter.request("new", 0)
    assert set(limiter._buckets) == {("busy", False), ("new", False)}
    with pytest.raises(Throttled):
        limiter.request("busy", 0)


def test_open_streams_and_waiting_requests_are_bounded_for_each_project() -> None:
    limiter = make(ManualClock(), streams=2, waiting_requests=1)
    leave = [limiter.stream("p", stack) for stack in "ab"]
    with pytest.raises(Throttled) as refused:
        limiter.stream("p", "c")
    assert refused.value.code == "too_many_streams"
    assert refused.value.extra["retry_after"] > 0  # type: ignore[operator]
    limiter.stream("q", "a")
    with limiter.waiting("p"):
        with pytest.raises(Throttled) as refused, limiter.waiting("p"):
            pass
        assert refused.value.code == "too_many_waiting"
        with limiter.waiting("q"):
            assert limiter.open_in("waiting_requests") == 2
    assert limiter.open_in("waiting_requests") == 0
    assert (limiter.open_in("streams"), limiter.open_in("streams", "p")) == (3, 2)
    leave[0]()
    limiter.stream("p")  # of many stacks
    assert limiter.open_in("streams", "p") == 2
    with pytest.raises(Throttled):
        limiter.stream("p")


def test_requests_of_all_projects_that_wait_leave_room() -> None:
    limiter = RateLimiter(no_allowances, ManualClock(), blocking=3)
    leave = limiter.stream("p", "a")
    with limiter.waiting("q"), limiter.delayed():
        for each in (limiter.waiting("r"), limiter.delayed()):
            with pytest.raises(Throttled) as refused, each:
                pass
            assert refused.value.code == "worker_busy"
            assert refused.value.extra["retry_after"] > 0  # type: ignore[operator]
        with pytest.raises(Throttled, match="already serves 3 requests"):
            limiter.stream("r", "a")
        leave()
        limiter.stream("r", "a")()
    assert not limiter._open


def test_streams_of_a_stack_are_bounded_and_closed_streams_leave_no_counts() -> None:
    limiter = make(ManualClock(), streams=5, streams_per_stack=1)
    leave = [limiter.stream("p", stack) for stack in "ab"]
    with pytest.raises(Throttled, match="The stack has 1 stream open"):
        limiter.stream("p", "a")
    assert limiter.open_in("streams") == 2
    for each in leave:
        each()
    assert not limiter._open
    limiter.stream("p", "a")


def test_the_patterns_of_a_projects_streams_and_waiting_requests_are_bounded() -> None:
    limiter = make(ManualClock())
    leave = limiter.stream("p", patterns=STACK_PATTERNS - 32)
    with limiter.waiting("p", 32):
        for start in (
            limiter.begin_wait,
            lambda project, patterns: limiter.stream(project, patterns=patterns),
        ):
            with pytest.raises(Throttled, match="more than 4000 patterns"):
                start("p", 1)
        limiter.stream("q", patterns=1)()
        limiter.begin_wait("p")()
    leave()
    limiter.begin_wait("p", STACK_PATTERNS)()
    assert not vars(limiter)["_open"]


def test_conditions_are_charged_by_the_facts_that_they_count() -> None:
    limiter = make(ManualClock(), requests_per_second=10, burst=3)
    limiter.counted("p", rate_limit.COUNTED_FACTS_A_UNIT - 1)
    assert limiter.request("p", 0) == 0
    limiter.counted("p", 3 * rate_limit.COUNTED_FACTS_A_UNIT)
    assert limiter.request("p", 0) == pytest.approx(0.1)
