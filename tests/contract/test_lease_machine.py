"""Nothing that is renewed in time ends early, after any sequence of calls and faults.

Three workers renew, write and end leases, while their states lag, calls arrive late, workers are
killed, and former leaders of etcd revoke the leases of pulses.  All of it is in the order, and at the
time, that the test chooses: between two calls of one worker to etcd there can be any steps of others.

A promise is checked after each step: what a worker has acknowledged lasts for its ttl, from the moment
at which the request was made.  So does what etcd has renewed, acknowledged or not.  In the end, nothing
is renewed any more, and all has to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from factstore.cmd.processes.etcd import EtcdServer
from tests.contract.lease_machine import (
    LONGEST_TTL,
    MEMBER_TTL,
    NAMES,
    PATHS,
    LeaseMachine,
    LeaseSite,
)

Steps = Sequence[tuple[tuple[Any, ...], int | None]]
"""Steps of the machine, and after how many calls to etcd each of them stops."""

EXAMPLES = settings().max_examples
"""Of the profile: many where they are random."""

workers = st.integers(0, 2)
names = st.sampled_from(NAMES)
some_paths = st.sampled_from([*[(path,) for path in PATHS], PATHS])
ttls = st.sampled_from([MEMBER_TTL, MEMBER_TTL, LONGEST_TTL])
seconds = st.sampled_from([0.4, 1.0, 3.0, 3.0, 8.0, 15.0, 19.0])


def action(method: Callable[..., object], *arguments: st.SearchStrategy[Any]) -> Any:
    """Return a strategy for a step of the machine, as the name of its method and the arguments."""
    return st.tuples(st.just(method.__name__), *arguments)


points = st.one_of(st.none(), st.none(), st.integers(0, 5))
"""The number of calls to etcd after which a worker's call stops; None to let it end."""
calls = st.tuples(
    st.one_of(
        action(LeaseMachine.heartbeat, workers, names, st.booleans()),
        action(LeaseMachine.heartbeat, workers, names, st.booleans()),
        action(LeaseMachine.put, workers, some_paths, st.booleans(), ttls),
        action(LeaseMachine.join, workers, names, st.sampled_from(["generation", "key", "new"])),
        action(LeaseMachine.round, workers, st.booleans()),
        action(LeaseMachine.round, workers, st.booleans()),
    ),
    points,
)
others = st.tuples(
    st.one_of(
        action(LeaseMachine.start_heartbeat, workers, names),
        action(LeaseMachine.arrive, st.integers(0, 2)),
        action(LeaseMachine.answer, st.integers(0, 2)),
        action(LeaseMachine.resume, st.integers(0, 2), points),
        action(LeaseMachine.see, workers, st.integers(0, 2)),
        action(LeaseMachine.kill, workers),
    ),
    st.none(),
)
faults = st.tuples(
    st.one_of(
        action(LeaseMachine.former_leader, st.integers(0, 3)),
        action(LeaseMachine.former_leader, st.integers(0, 3)),
        action(LeaseMachine.expire),
        action(LeaseMachine.elect),
    ),
    st.none(),
)
times = st.tuples(
    st.one_of(action(LeaseMachine.live, seconds), action(LeaseMachine.advance, seconds)),
    st.none(),
)
steps = st.one_of(calls, calls, faults, others, times)


@pytest.fixture(scope="module")
def site(etcd: EtcdServer) -> Iterator[LeaseSite]:
    """The workers of all examples."""
    made = LeaseSite(etcd.endpoint)
    yield made
    made.close()


# Random steps hardly ever have these orders, in each of which a fault was found.
LEASES_STOP: Steps = [
    (("advance", 1.0), None),
    (("expire",), None),
    (("live", 1.0), None),
    (("advance", 3.0), None),
]
DECIDED: Steps = [*LEASES_STOP, (("round", 1, True), 9), (("heartbeat", 2, "a", True), None)]

TOO_LATE: Steps = [
    (("join", 0, "a", "new"), None),
    (("see", 1, 0), None),
    (("see", 2, 0), None),
    (("advance", 22.0), None),
    (("expire",), None),
    (("see", 1, 0), None),
    (("see", 2, 0), None),
    (("round", 1, True), 3),
    (("heartbeat", 2, "a", True), 2),
]


@settings(max_examples=EXAMPLES // 5, suppress_health_check=list(HealthCheck))
@example(  # a renewal whose answer is late
    [
        (("start_heartbeat", 1, "a"), None),
        (("arrive", 0), None),
        (("former_leader", 0), None),
        (("live", 8.0), None),
    ]
)
@example(  # a pulse that is restored and stops again before the decision is written
    [*DECIDED, (("former_leader", 0), None), (("resume", 0, None), None)]
)
@example(  # and before it is written once more
    [*DECIDED, (("resume", 0, 0), None), (("former_leader", 0), None), (("resume", 0, None), None)]
)
@example(  # a write that renews the lease of a pulse that comes too late
    [
        *LEASES_STOP,
        (("round", 1, True), 9),
        (("put", 2, ("f",), True, 20), 2),
        (("resume", 0, 1), None),
        (("put", 0, ("f",), False, 20), None),
        (("resume", 1, None), None),
        (("resume", 0, None), None),
    ]
)
@example(  # a heartbeat that renews the lease of a pulse that comes too late
    [*TOO_LATE, (("heartbeat", 0, "a", True), None), (("resume", 0, None), None)]
)
@example(  # and one in the loop
    [
        *TOO_LATE,
        (("start_heartbeat", 0, "a"), None),
        (("answer", 0), None),
        (("resume", 0, None), None),
    ]
)
@given(some=st.lists(steps, min_size=15, max_size=40))
def test_what_is_renewed_in_time_does_not_end(site: LeaseSite, some: Steps) -> None:
    machine = LeaseMachine(site)
    try:
        for step, stops in some:
            machine.run(step, stops)
        machine.all_ends()
    finally:
        machine.close()
