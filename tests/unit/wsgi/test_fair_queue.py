"""The fair queue on a clock that requests advance by the time that they take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.standstill import STANDSTILL_SECONDS
from factstore.wsgi.fair_queue import (
    LONE_SLICE_SECONDS,
    SHARED_SECONDS,
    SLICE_SECONDS,
    FairQueue,
    Flow,
)
from tests.unit.core.factories import ManualClock

LOUD, QUIET = ("loud", False), ("quiet", False)


class Server:
    """A server with one thread, whose requests take some time each."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.served: list[Flow] = []
        self._calls: deque[Callable[[], None]] = deque()
        self.queue = FairQueue(self.clock, self._calls.append)

    def request(self, flow: Flow, seconds: float = SLICE_SECONDS) -> None:
        """Serve a request at once, or when it is its turn."""

        def run() -> None:
            self.served.append(flow)
            self.clock.advance(seconds)

        if not self.queue.join(flow, run):
            run()

    def turn(self) -> list[Flow]:
        """Serve one round; return the flows of the requests that were served."""
        before = len(self.served)
        for _ in range(len(self._calls)):
            self._calls.popleft()()
        return self.served[before:]

    @property
    def idle(self) -> bool:
        return not self._calls


def shared() -> Server:
    """Return a server that two projects have used lately."""
    server = Server()
    for flow in (LOUD, QUIET):
        server.request(flow)
    while not server.idle:
        server.turn()
    server.served.clear()
    return server


def test_a_request_does_not_wait_while_its_project_is_idle() -> None:
    server = Server()
    server.request(LOUD)
    assert server.served == [LOUD]
    server.turn()
    assert server.idle
    server.request(LOUD)
    assert server.served == [LOUD, LOUD]


def test_a_request_overtakes_those_of_a_busy_project() -> None:
    server = shared()
    for _ in range(100):
        server.request(LOUD)
    server.turn()
    server.request(QUIET)
    assert server.served == [LOUD, LOUD, QUIET]


def test_a_slice_ends_with_the_request_that_uses_it_up() -> None:
    server = shared()
    for _ in range(20):
        server.request(LOUD, SLICE_SECONDS / 4)
    assert server.served == [LOUD]
    assert all(len(server.turn()) in (4, 5) for _ in range(3))  # sums of seconds are not exact


def test_a_project_that_is_alone_has_long_slices_until_another_one_comes() -> None:
    server = Server()
    for _ in range(1000):
        server.request(LOUD)
    assert len(server.turn()) >= LONE_SLICE_SECONDS / SLICE_SECONDS
    server.request(QUIET)
    assert server.turn() == [LOUD]
    server.clock.advance(SHARED_SECONDS)
    assert len(server.turn()) >= LONE_SLICE_SECONDS / SLICE_SECONDS


def test_heartbeats_do_not_wait_behind_other_requests_of_their_project() -> None:
    server = Server()
    for _ in range(100):
        server.request(LOUD)
    server.request(("loud", True))
    assert server.served == [LOUD, ("loud", True)]


def test_the_age_of_a_queue_is_that_of_its_first_request() -> None:
    server = shared()
    assert server.queue.age(LOUD) == 0
    server.request(LOUD, 0)
    server.request(LOUD)
    for _ in range(4):
        server.clock.advance(STANDSTILL_SECONDS)
        server.queue.age(LOUD)
    server.request(LOUD)
    waited = 4 * STANDSTILL_SECONDS
    assert (server.queue.age(LOUD), len(server.queue)) == (waited, 2)
    server.clock.advance(3)  # the process stood still, and nobody could be served
    assert server.queue.age(LOUD) == waited
    server.clock.advance(3)
    server.turn()
    assert server.queue.age(LOUD) == pytest.approx(SLICE_SECONDS)
    assert len(server.queue) == 1
    assert server.queue.age(QUIET) == 0


def test_a_long_round_of_many_projects_is_no_standstill() -> None:
    server = shared()
    flows = [(f"p{number}", False) for number in range(5)]
    seconds = STANDSTILL_SECONDS / 2  # of each request, and less than the whole round
    for flow in (LOUD, *flows):
        server.request(flow, 0)  # it need not wait
        server.request(flow, seconds)
        server.request(flow, seconds)
    assert sorted(server.turn()) == sorted([LOUD, *flows])
    assert server.queue.age(LOUD) == pytest.approx(6 * seconds)


PROJECTS = [(name, False) for name in "abcd"]


@given(
    st.lists(st.tuples(st.sampled_from(PROJECTS), st.floats(0, 0.01)), max_size=60),
    st.sampled_from(PROJECTS),
)
def test_a_newcomer_waits_for_at_most_a_slice_and_a_request_of_each_other_project(
    requests: list[tuple[Flow, float]], newcomer: Flow
) -> None:
    server = shared()
    longest: dict[Flow, float] = {}
    for flow, seconds in requests:
        if flow != newcomer:
            server.request(flow, seconds)
            longest[flow] = max(longest.get(flow, 0.0), seconds)
    began = server.clock.now
    server.turn()  # the newcomer arrives during a round, and is read after it
    server.request(newcomer)
    waited = server.clock.now - began - SLICE_SECONDS
    assert server.served[-1] == newcomer
    assert waited <= sum(SLICE_SECONDS + seconds for seconds in longest.values()) + 1e-6


@given(
    st.lists(st.tuples(st.sampled_from(PROJECTS), st.floats(0, 0.01), st.booleans()), max_size=80)
)
def test_every_request_is_served_once_and_no_flow_is_skipped(
    steps: list[tuple[Flow, float, bool]],
) -> None:
    server = shared()
    arrived: list[Flow] = []
    for flow, seconds, turns in steps:
        server.request(flow, seconds)
        arrived.append(flow)
        if turns:
            waiting = {flow for flow in PROJECTS if server.queue.age(flow)}
            assert waiting <= set(server.turn())
    while not server.idle:
        server.turn()
    assert sorted(server.served) == sorted(arrived)
    assert len(server.queue) == 0


@given(st.lists(st.sampled_from(PROJECTS), min_size=2, max_size=60))
def test_requests_of_one_project_are_served_in_the_order_of_arrival(flows: list[Flow]) -> None:
    server = shared()
    order: dict[Flow, list[int]] = {}
    for number, flow in enumerate(flows):

        def run(flow: Flow = flow, number: int = number) -> None:
            order.setdefault(flow, []).append(number)
            server.clock.advance(SLICE_SECONDS)

        if not server.queue.join(flow, run):
            run()
    while not server.idle:
        server.turn()
    assert all(a < b for numbers in order.values() for a, b in pairwise(numbers))
    assert sum(map(len, order.values())) == len(flows)


def test_a_project_that_is_alone_does_not_wait_until_another_one_comes() -> None:
    clock, rounds = ManualClock(), list[Callable[[], None]]()
    queue = FairQueue(clock, rounds.append)
    ran: list[str] = []
    flow = ("alone", False)
    assert not any(queue.join_shared(flow, partial(ran.append, "alone")) for _ in range(3))
    queue.note("other")
    assert not queue.join_shared(flow, partial(ran.append, "first"))
    assert queue.join_shared(flow, partial(ran.append, "second"))
    assert ran == []
    rounds.pop()()
    assert ran == ["second"]
    rounds.pop()()
    clock.advance(SHARED_SECONDS)
    assert not any(queue.join_shared(flow, partial(ran.append, "alone")) for _ in range(3))
