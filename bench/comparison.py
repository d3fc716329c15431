"""Tables that compare the service with etcd's gateway."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from bench import operations
from bench.goals import Goal
from bench.lab import Lab
from bench.load import CONNECTIONS
from bench.report import Report
from bench.rounds import Runs, Side, in_turn, spread

HEAD = [
    "request",
    "requests/s",
    "gateway's",
    "CPU µs: worker",
    "etcd",
    "etcd for the gateway",
    "ratio (rounds)",
    "target",
]


def compared(
    report: Report, what: str, mine: Runs, gateway: Runs, goal: Goal | None = None
) -> float:
    """Add a row; return the ratio of the speeds."""
    ratios = mine.against(gateway)
    ratio = statistics.median(ratios)
    report.row(
        what,
        f"{mine.per_second:,.0f}",
        f"{gateway.per_second:,.0f}",
        f"{mine.worker_us:.0f}",
        f"{mine.store_us:.0f}",
        f"{gateway.store_us:.0f}",
        spread(ratios),
        "" if goal is None else report.goal(f"{what}, of the gateway", ratio, goal),
    )
    return ratio


def by_connections(
    lab: Lab,
    report: Report,
    name: str,
    usual: tuple[Runs, Runs],
    goals: Mapping[int, Goal | None],
    rounds: int,
    seconds: float,
) -> None:
    """Add a table of an operation, with a row for each number of connections.

    :param usual: the runs with the usual number of connections: the service's and the gateway's.
    """
    report.section(f"{name} of a fact, by number of connections", HEAD)
    ours, theirs = operations.factstore(name, lab), operations.gateway(name, lab)
    for connections, goal in goals.items():
        if connections == CONNECTIONS:
            mine, gateway = usual
        else:
            sides = {
                "mine": Side(lab, ours, connections),
                "gateway": Side(lab, theirs, connections),
            }
            mine, gateway = in_turn(sides, rounds, seconds, warm=False).values()
        compared(report, f"{name}, {connections} connections", mine, gateway, goal)
        report.point("connections", name, connections, mine.per_second)
        report.point("connections", f"{name}, gateway", connections, gateway.per_second)
