"""The start of a worker with many facts in etcd, and the memory of each fact."""

from __future__ import annotations

import statistics
import time

from bench.goals import at_most
from bench.lab import Lab, resident_kib
from bench.report import Report

FACTS = 100_000
STACKS = 20
STARTS = 5
MEASURED = 2  # of them, whose memory is read
TRIM_SECONDS = 6.0  # in which a worker returns the memory that its start has needed


def run(report: Report) -> None:
    """Measure the memory while facts are written, and after a restart, and the time of restarts."""
    with Lab() as lab:
        empty = lab.restart()
        before = resident_kib(lab.worker)
        for stack in range(STACKS):
            lab.fill(f"large{stack}", FACTS // STACKS)
        written = (resident_kib(lab.worker) - before) / FACTS
        in_etcd = int(lab.etcd.status()["dbSize"]) / 1024 / FACTS
        starts, resident = [], []
        for start in range(STARTS):
            starts.append(lab.restart())
            if start < STARTS - MEASURED:
                continue
            time.sleep(TRIM_SECONDS)
            resident.append(resident_kib(lab.worker))
    restarted = (statistics.median(resident) - before) / FACTS
    seconds = statistics.median(starts)
    report.section(f"A worker with {FACTS:,} facts")
    for what, name, figure, goal in (
        (f"seconds to start with {FACTS:,} facts", "start_seconds", seconds, at_most(1.5)),
        ("KiB of a fact while written", "fact_kib_written", written, at_most(0.8)),
        ("KiB of a fact after a restart", "fact_kib_restarted", restarted, at_most(0.8)),
    ):
        report.line(f"{what}: {figure:.2f} (target {report.goal(what, figure, goal)})")
        report.figure(name, figure)
    report.line(f"seconds to start with {100 * 10:,} facts: {empty:.2f}")
    report.line(f"memory of a worker without these facts: {before / 1024:.0f} MiB")
    report.line(f"KiB of a fact in etcd, written once: {in_etcd:.2f}")
    report.figure("worker_mib", before / 1024)
    report.figure("fact_kib_etcd", in_etcd)
