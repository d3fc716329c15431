"""Writes against durable puts of etcd's gateway: by credentials, by kind, and by connections."""

from __future__ import annotations

import statistics

from bench import operations
from bench.comparison import HEAD, by_connections, compared
from bench.goals import Goal, at_least
from bench.lab import Lab
from bench.load import CONNECTIONS
from bench.report import Report
from bench.rounds import Side, in_turn

GOALS = {
    "PUT, no authentication": at_least(0.75),
    "PUT, Keystone token": at_least(0.75),
    "PUT, grant": at_least(0.7),
    "creation of a fact": at_least(0.5),
    "PUT that changes nothing": at_least(1),
    "facts in batches": at_least(5),
}
CONNECTION_GOALS: dict[int, Goal | None] = {1: None, 8: None, 64: at_least(0.75), 256: None}


def run(lab: Lab, guarded: Lab, report: Report, rounds: int, seconds: float) -> None:
    """Measure writes of facts, and a mix of reads and writes."""
    grants = guarded.grants()
    found = in_turn(
        {
            "gateway": Side(lab, operations.gateway("PUT", lab)),
            "PUT, no authentication": Side(lab, operations.factstore("PUT", lab)),
            "PUT, Keystone token": Side(guarded, operations.factstore("PUT", guarded)),
            "PUT, grant": Side(
                guarded, operations.factstore("PUT", guarded, nodes=1, credentials=grants)
            ),
            "creation of a fact": Side(lab, operations.factstore("CREATE", lab)),
            "PUT that changes nothing": Side(lab, operations.factstore("PUT unchanged", lab)),
            "facts in batches": Side(
                lab, operations.factstore("batch", lab), each=operations.BATCH
            ),
        },
        rounds,
        seconds,
    )
    report.section(
        f"Writes of facts, durable, {CONNECTIONS} connections, values of "
        f"{operations.VALUE_BYTES} bytes, batches of {operations.BATCH} facts",
        HEAD,
    )
    gateway, plain = found["gateway"], found["PUT, no authentication"]
    for name, goal in GOALS.items():
        compared(report, name, found[name], gateway, goal)
    for figure, name in (
        ("put", "PUT, no authentication"),
        ("put_token", "PUT, Keystone token"),
        ("put_gateway", "gateway"),
        ("create", "creation of a fact"),
        ("batch", "facts in batches"),
    ):
        report.figure(f"{figure}_per_second", found[name].per_second)
    report.figure("put_worker_us", plain.worker_us)
    report.figure("put_etcd_us", plain.store_us)
    report.figure("put_gateway_us", gateway.store_us)
    report.figure("create_worker_us", found["creation of a fact"].worker_us)
    report.figure("put_ratio", statistics.median(plain.against(gateway)))
    by_connections(lab, report, "PUT", (plain, gateway), CONNECTION_GOALS, rounds, seconds)
    report.section(f"Nine GETs to one PUT, {CONNECTIONS} connections", HEAD)
    sides = {
        "mine": Side(lab, operations.factstore("mixed", lab)),
        "gateway": Side(lab, operations.gateway("mixed", lab)),
    }
    mine, theirs = in_turn(sides, rounds, seconds).values()
    ratio = compared(report, "nine GETs to one PUT", mine, theirs, at_least(2))
    report.figure("mixed_per_second", mine.per_second)
    report.figure("mixed_ratio", ratio)
