"""Reads against linearizable reads of etcd's gateway: by credentials, by connections, and contexts."""

from __future__ import annotations

import statistics

from bench import operations
from bench.comparison import HEAD, by_connections, compared
from bench.goals import Goal, at_least, at_most
from bench.lab import Lab
from bench.load import CONNECTIONS
from bench.report import Report
from bench.rounds import Runs, Side, in_turn

FACTS = 1000  # of the stack whose context is read
GOALS = {
    "GET, no authentication": at_least(2.5),
    "GET, Keystone token": at_least(2.5),
    "GET, grant": at_least(2.2),
}
CONTEXT_GOALS = {"unchanged (304)": at_most(1.5), "delta of one fact": at_most(2)}
CONNECTION_GOALS = {1: at_least(0.7), 8: at_least(1.3), 64: at_least(2.5), 256: None}


def run(lab: Lab, guarded: Lab, report: Report, rounds: int, seconds: float) -> None:
    """Measure reads of facts, and of the context of a stack that has not or hardly changed."""
    etag, cursor = _context_of_many(lab)
    context = "/v1/stacks/many/context"
    grants = guarded.grants()
    for each in (lab, guarded):
        each.forget_writes()
    found = in_turn(
        {
            "GET, no authentication": Side(lab, operations.factstore("GET", lab)),
            "gateway": Side(lab, operations.gateway("GET", lab)),
            "GET, Keystone token": Side(guarded, operations.factstore("GET", guarded)),
            "GET, grant": Side(
                guarded, operations.factstore("GET", guarded, nodes=1, credentials=grants)
            ),
            "unchanged (304)": Side(lab, operations.same(lab, context, {"If-None-Match": etag})),
            "delta of one fact": Side(lab, operations.same(lab, f"{context}?since={cursor}")),
        },
        rounds,
        seconds,
    )
    report.section(
        f"GET of a fact, linearizable, {CONNECTIONS} connections, values of "
        f"{operations.VALUE_BYTES} bytes",
        HEAD,
    )
    gateway, plain = found["gateway"], found["GET, no authentication"]
    for name, goal in GOALS.items():
        compared(report, name, found[name], gateway, goal)
    report.figure("get_per_second", plain.per_second)
    report.figure("get_token_per_second", found["GET, Keystone token"].per_second)
    report.figure("get_gateway_per_second", gateway.per_second)
    report.figure("get_worker_us", plain.worker_us)
    report.figure("get_etcd_us", plain.store_us)
    report.figure("get_gateway_us", gateway.store_us)
    report.figure("get_ratio", statistics.median(plain.against(gateway)))
    by_connections(lab, report, "GET", (plain, gateway), CONNECTION_GOALS, rounds, seconds)
    report.section(
        f"Context of a stack of {FACTS:,} facts, against a GET of one fact",
        ["request", "requests/s", "CPU µs: worker", "etcd", "times as long as a GET", "target"],
    )
    for name, goal in CONTEXT_GOALS.items():
        _context(report, name, found[name], plain, goal)


def _context(report: Report, name: str, found: Runs, plain: Runs, goal: Goal) -> None:
    ratio = statistics.median(plain.against(found))
    report.row(
        name,
        f"{found.per_second:,.0f}",
        f"{found.worker_us:.0f}",
        f"{found.store_us:.0f}",
        f"{ratio:.2f}",
        report.goal(f"context, {name}, times as long as a GET", ratio, goal),
    )


def _context_of_many(lab: Lab) -> tuple[str, str]:
    """Return the entity tag of the context of a stack, and its cursor before the last change."""
    lab.fill("many", FACTS)
    context = "/v1/stacks/many/context"
    with lab.caller() as caller:
        cursor = caller.request("GET", context).headers["Factstore-Cursor"]
        caller.request("PUT", "/v1/stacks/many/facts/nodes/n0/ip", {"value": "10.0.0.255"})
        return caller.request("GET", context).headers["ETag"], cursor
