"""Measure the cost of a heartbeat against etcd's keep-alive and against a GET on the same worker.

The three run in turn; all heartbeats use the same leases as the keep-alive.  The benchmark checks that
heartbeats create no revision, that they renew the leases, and that all members are alive at the end.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from bench import load, members
from bench.gateway import Gateway
from bench.lab import Lab, cpu_microseconds
from bench.speed import Comparison

STACK = "beating"
TTL = 3600  # seconds; no member may expire between the runs
ASKED = 100  # leases that are checked in etcd
UNSENT = 5  # requests that wrk may generate without sending them
POPULATION = 10_000
PERIODS = (30, 10)  # seconds between two heartbeats of one member


@dataclass
class Heartbeats:
    """The results of all runs.

    :param against_get: ratio of heartbeats to GETs in the same time, run by run.
    """

    keepalive: Comparison = field(default_factory=Comparison)
    against_get: list[float] = field(default_factory=list)
    get_us: list[float] = field(default_factory=list)
    beats: int = 0


def run(lab: Lab, count: int, rounds: int, seconds: int) -> Heartbeats:
    """Join *count* members and send their heartbeats.

    :raises AssertionError: a heartbeat wrote or did not renew its lease, or a member expired.
    """
    generations = members.join(lab, STACK, [f"m{n}" for n in range(count)], ttl=TTL)
    leases = [members.lease_of(generation) for generation in generations.values()]
    ours = load.heartbeat(lab, STACK, generations)
    theirs = load.keep_alive(lab, leases)
    get = load.factstore("GET", lab)
    gateway = Gateway(lab.etcd.endpoint)
    found = Heartbeats()
    for target in (ours, theirs, get):
        load.run(target, 1)  # warm, uncounted
    for _ in range(rounds):
        before, began = gateway.revision(), time.monotonic()
        mine = _run(lab, ours, seconds)
        assert gateway.revision() == before, "heartbeats made revisions"
        # Requests cycle through the members; wrk generates the first ones without sending them.
        for lease in leases[UNSENT : min(UNSENT + ASKED, mine.load.requests)]:
            passed = time.monotonic() - began
            left = gateway.remaining(lease)
            assert left >= TTL - passed - 1, f"a heartbeat left {left} of {TTL} seconds"
        other, read = _run(lab, theirs, seconds), _run(lab, get, seconds)
        found.beats += mine.load.requests
        compared = found.keepalive
        compared.ours.append(mine.load.per_second)
        compared.theirs.append(other.load.per_second)
        compared.ratios.append(mine.load.per_second / other.load.per_second)
        compared.worker_us.append(mine.worker_us)
        compared.etcd_us.append(mine.etcd_us)
        compared.gateway_us.append(other.etcd_us)
        found.against_get.append(mine.load.per_second / read.load.per_second)
        found.get_us.append(read.worker_us)
    assert set(members.names(lab, STACK)) == set(generations), "a member expired"
    return found


@dataclass(frozen=True)
class _Run:
    load: load.Load
    worker_us: float
    etcd_us: float


def _run(lab: Lab, target: load.Target, seconds: int) -> _Run:
    worker, etcd = cpu_microseconds(lab.worker), cpu_microseconds(lab.etcd_pid)
    done = load.run(target, seconds)
    return _Run(
        done,
        (cpu_microseconds(lab.worker) - worker) / done.requests,
        (cpu_microseconds(lab.etcd_pid) - etcd) / done.requests,
    )


def shown(found: Heartbeats) -> list[str]:
    """Return the figures as lines."""
    compared = found.keepalive
    worker, etcd = statistics.median(compared.worker_us), statistics.median(compared.etcd_us)
    get = (
        f"{statistics.median(found.against_get):.2f} of the GETs of a fact on the same worker "
        f"(runs {min(found.against_get):.2f} to {max(found.against_get):.2f}), worker "
        f"{worker:.0f} us against {statistics.median(found.get_us):.0f} us; "
        f"{found.beats} heartbeats created no revision"
    )
    lines = [f"against etcd's keep-alive: {compared}", get]
    for period in PERIODS:
        rate = POPULATION / period
        lines.append(
            f"{POPULATION} members with a heartbeat every {period} s ({rate:.0f}/s) take "
            f"{rate * worker / 10_000:.0f} % of one core for the service and "
            f"{rate * etcd / 10_000:.1f} % for etcd"
        )
    return lines
