"""Growth of cost with the facts of a stack, the stacks, the size of values, watchers and members."""

from __future__ import annotations

import statistics

from bench import load, members, operations
from bench.lab import Lab
from bench.load import CONNECTIONS, Target
from bench.report import Report
from bench.rounds import Run, Side, in_turn, one
from bench.watchers import streams, writer

FACTS = (10, 100, 1_000, 10_000, 100_000)
STACKS = (1, 10, 100, 1_000, 10_000)
VALUE_BYTES = (100, 1_000, 10_000, 65_534)  # and two quotes
WATCHERS = (1, 10, 100, 1_000, 10_000)
MEMBERS = (10, 100, 1_000, 10_000)
EVENTS = 5
FILLING, FILL_SECONDS = 16, 1.0  # connections that create stacks
FEW = 8  # connections, because a page of a large stack takes long
PAGE = 100
SECONDS = 0.5  # of a run whose CPU is measured


def by_facts(report: Report) -> None:
    """Measure requests in stacks of growing size."""
    report.section(
        f"Growth with the facts of a stack: CPU µs of the worker, {FEW} connections",
        ["facts", "GET", "PUT", "creation", f"page of {PAGE}", "context: 304", "delta"],
    )
    with Lab() as lab:
        for count in FACTS:
            stack = f"grown{count}"
            lab.fill(stack, count)
            base, context = f"/v1/stacks/{stack}", f"/v1/stacks/{stack}/context"
            fact = f"{base}/facts/nodes/n{count // 2}/ip"
            with lab.caller() as caller:
                before = caller.request("PUT", fact, {"value": "old"}).headers["Factstore-Cursor"]
                caller.request("PUT", fact, {"value": "changed"})
                etag = caller.request("GET", context).headers["ETag"]
            lab.forget_writes()
            targets = {
                "GET": operations.same(lab, fact),
                f"page of {PAGE}": operations.same(lab, f"{base}/facts?limit={PAGE}"),
                "context: 304": operations.same(lab, context, {"If-None-Match": etag}),
                "delta": operations.same(lab, f"{context}?since={before}"),
                # These change the stack, so they are last.
                "PUT": operations.write(lab, f"{base}/facts/nodes/n1"),
                "creation": operations.write(lab, f"{base}/facts/made", new=True),
            }
            _row(report, lab, "facts", count, targets, FEW)


def by_stacks(report: Report) -> None:
    """Measure requests for facts of a growing number of stacks."""
    report.section(
        f"Growth with the number of stacks: CPU µs of the worker, {CONNECTIONS} connections",
        ["stacks", "GET", "PUT", "list of stacks"],
    )
    with Lab() as lab:
        made = 0
        for count in STACKS:
            while made < count:
                # A request may be lost when wrk ends, so some are sent twice.
                fill = operations.factstore("PUT", lab, stacks=count, nodes=1, first=made)
                made = max(1, made + load.run(fill, FILL_SECONDS, FILLING).requests - 2 * FILLING)
            lab.forget_writes()
            targets = {
                "GET": operations.factstore("GET", lab, stacks=count, nodes=1, fact="load"),
                "PUT": operations.factstore("PUT", lab, stacks=count, nodes=1),
                "list of stacks": operations.same(lab, f"/v1/stacks?limit={PAGE}"),
            }
            _row(report, lab, "stacks", count, targets)
            made = count


def by_value(report: Report, rounds: int, seconds: float) -> None:
    """Measure PUT and GET against the gateway's, with growing values."""
    report.section(
        f"Growth with the size of values: requests/s, {CONNECTIONS} connections",
        ["bytes", "GET", "gateway", "ratio", "PUT", "gateway", "ratio", "CPU µs: GET", "PUT"],
    )
    with Lab() as lab:
        for size in VALUE_BYTES:
            # Ten facts in each of ten stacks, so that each has been written before it is read.
            ours = operations.factstore("PUT", lab, value_bytes=size, stacks=10)
            theirs = operations.gateway("PUT", lab, value_bytes=size, spread=100)
            sides = {"PUT": Side(lab, ours), "PUT, gateway": Side(lab, theirs)}
            found = in_turn(sides, rounds, seconds)
            lab.forget_writes()
            ours = operations.factstore("GET", lab, fact="load", stacks=10)
            theirs = operations.gateway("GET", lab, spread=100)
            sides = {"GET": Side(lab, ours), "GET, gateway": Side(lab, theirs)}
            found |= in_turn(sides, rounds, seconds)
            put, get = found["PUT"], found["GET"]
            report.row(
                f"{size:,}",
                f"{get.per_second:,.0f}",
                f"{found['GET, gateway'].per_second:,.0f}",
                f"{statistics.median(get.against(found['GET, gateway'])):.2f}",
                f"{put.per_second:,.0f}",
                f"{found['PUT, gateway'].per_second:,.0f}",
                f"{statistics.median(put.against(found['PUT, gateway'])):.2f}",
                f"{get.worker_us:.0f}",
                f"{put.worker_us:.0f}",
            )
            for name, runs in found.items():
                report.point("values", name, size, runs.per_second)


def by_watchers(report: Report, most: int) -> None:
    """Measure the time until all watchers have a change, for growing numbers of watchers."""
    report.section(
        "Growth with the watchers of one stack",
        ["watchers", "ms from the PUT to the last", "CPU µs a delivery"],
    )
    with Lab() as lab:
        publish = writer(lab)
        for count in (each for each in WATCHERS if each <= most):
            with streams(lab) as readers:
                readers.connect(count)
                found = readers.fanout(publish, EVENTS)
            last = statistics.median(found.from_start_ms)
            each = statistics.mean(found.server_us) / count
            report.row(f"{count:,}", f"{last:.1f}", f"{each:.1f}")
            report.point("watchers", "PUT to the last watcher", count, last)


def by_members(report: Report) -> None:
    """Measure heartbeats and reads of members, for growing numbers of members of a stack."""
    report.section(
        f"Growth with the members of a stack: CPU µs of the worker, {CONNECTIONS} connections",
        ["members", "heartbeat", "GET of a member", "heartbeats/s"],
    )
    with Lab() as lab:
        generations: dict[str, str] = {}
        for count in MEMBERS:
            names = [f"m{number}" for number in range(len(generations), count)]
            generations |= members.join(lab, "grown", names, ttl=3600)
            lab.forget_writes()
            targets = {
                "heartbeat": operations.heartbeat(lab, "grown", generations),
                "GET of a member": operations.same(lab, f"/v1/stacks/grown/members/m{count // 2}"),
            }
            found = _runs(lab, targets)
            for name, each in found.items():
                report.point("members", name, count, each.worker_us)
            report.row(
                f"{count:,}",
                *(f"{each.worker_us:.0f}" for each in found.values()),
                f"{found['heartbeat'].per_second:,.0f}",
            )


def _row(
    report: Report,
    lab: Lab,
    chart: str,
    x: int,
    targets: dict[str, Target],
    connections: int = CONNECTIONS,
) -> None:
    runs = _runs(lab, targets, connections)
    found = {name: run.worker_us for name, run in runs.items()}
    for name, number in found.items():
        report.point(chart, name, x, number)
    report.row(f"{x:,}", *(f"{found[name]:.0f}" for name in report.head[1:]))


def _runs(lab: Lab, targets: dict[str, Target], connections: int = CONNECTIONS) -> dict[str, Run]:
    sides = {name: Side(lab, target, connections) for name, target in targets.items()}
    return {name: one(side, SECONDS) for name, side in sides.items()}
