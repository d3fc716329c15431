"""Several workers, and an etcd of three members: what scales on this machine, and what does not."""

from __future__ import annotations

from contextlib import ExitStack

from bench import operations
from bench.lab import Lab
from bench.load import CONNECTIONS
from bench.report import Report
from bench.rounds import Side, in_turn

SETTINGS = {
    "1 worker, 1 member of etcd": (1, 1),
    "2 workers, 1 member of etcd": (2, 1),
    "4 workers, 1 member of etcd": (4, 1),
    "1 worker, 3 members of etcd": (1, 3),
}


def run(report: Report, rounds: int, seconds: float) -> None:
    """Load services of several sizes in turn, all of which run all the time."""
    with ExitStack() as stack:
        labs = {
            name: stack.enter_context(Lab(workers=workers, members=members))
            for name, (workers, members) in SETTINGS.items()
        }
        for operation in ("GET", "PUT"):
            sides = {
                name: Side(lab, operations.factstore(operation, lab)) for name, lab in labs.items()
            }
            found = in_turn(sides, rounds, seconds)
            report.section(
                f"{operation} of a fact with several workers and members, {CONNECTIONS} connections, "
                "all on the same cores",
                ["", f"{operation}s/s", "CPU µs: workers", "etcd, all members", "times as fast"],
            )
            first = found["1 worker, 1 member of etcd"]
            for name, runs in found.items():
                report.row(
                    name,
                    f"{runs.per_second:,.0f}",
                    f"{runs.worker_us:.0f}",
                    f"{runs.store_us:.0f}",
                    f"{sorted(runs.against(first))[rounds // 2]:.2f}",
                )
