"""Heartbeats against keep-alive calls of etcd: both renew the same leases, in turn.

The benchmark checks that heartbeats create no revision, that they renew the leases, and that all
members are alive at the end.
"""

from __future__ import annotations

import time

from bench import load, members, operations
from bench.comparison import HEAD, compared
from bench.gateway import Gateway
from bench.goals import at_least
from bench.lab import Lab
from bench.report import Report
from bench.rounds import Runs, Side, in_turn

STACK = "beating"
TTL = 3600  # seconds; no member may expire between the runs
ASKED = 100  # leases that are checked in etcd
UNSENT = 5  # requests that wrk may generate without sending them
POPULATION = 10_000
PERIODS = (30, 10)  # seconds between two heartbeats of one member


def run(lab: Lab, report: Report, count: int, rounds: int, seconds: float) -> None:
    """Join *count* members and send their heartbeats.

    :raises AssertionError: a heartbeat wrote or did not renew its lease, or a member expired.
    """
    generations = members.join(lab, STACK, [f"m{n}" for n in range(count)], ttl=TTL)
    leases = [members.lease_of(generation) for generation in generations.values()]
    ours = operations.heartbeat(lab, STACK, generations)
    _check(lab, ours, leases)
    lab.forget_writes()
    sides = {
        "mine": Side(lab, ours),
        "gateway": Side(lab, operations.keep_alive(lab, leases)),
        "GET": Side(lab, operations.factstore("GET", lab)),
    }
    mine, gateway, get = in_turn(sides, rounds, seconds).values()
    assert set(members.names(lab, STACK)) == set(generations), "a member expired"
    report.section(
        f"Heartbeats of {count:,} members against keep-alive calls, {load.CONNECTIONS} connections",
        HEAD,
    )
    ratio = compared(report, "heartbeat", mine, gateway, at_least(1))
    report.figure("heartbeat_per_second", mine.per_second)
    report.figure("heartbeat_ratio", ratio)
    _capacity(report, mine)
    report.line(f"a GET of a fact in the same run: {get.worker_us:.0f} µs of the worker's CPU")


def _check(lab: Lab, heartbeats: load.Target, leases: list[int]) -> None:
    """Send heartbeats for a second, and check what they did in etcd."""
    gateway = Gateway(lab.etcd.endpoint)
    before, began = gateway.revision(), time.monotonic()
    sent = load.run(heartbeats, 1).requests
    assert gateway.revision() == before, "heartbeats made revisions"
    # Requests cycle through the members; wrk generates the first ones without sending them.
    for lease in leases[UNSENT : min(UNSENT + ASKED, sent)]:
        passed = time.monotonic() - began
        left = gateway.remaining(lease)
        assert left >= TTL - passed - 1, f"a heartbeat left {left} of {TTL} seconds"


def _capacity(report: Report, found: Runs) -> None:
    for period in PERIODS:
        rate = POPULATION / period
        report.line(
            f"{POPULATION:,} members with a heartbeat every {period} s ({rate:.0f}/s) take "
            f"{rate * found.worker_us / 10_000:.1f} % of one core for the service and "
            f"{rate * found.store_us / 10_000:.1f} % for etcd"
        )
    report.figure("heartbeat_worker_us", found.worker_us)
    report.figure("heartbeat_etcd_us", found.store_us)
    report.figure("heartbeat_10k_core_percent", POPULATION / 30 * found.worker_us / 10_000)
