"""Compare a request of the service with the same one of etcd's HTTP gateway, in turn: A B A B.

Both meet the same noise, and the figure is the median of the ratios of neighbours.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from bench import load
from bench.lab import Lab, cpu_microseconds


@dataclass
class Comparison:
    """Pairs of runs; costs are CPU microseconds for each request."""

    ratios: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    worker_us: list[float] = field(default_factory=list)
    etcd_us: list[float] = field(default_factory=list)
    gateway_us: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        return (
            f"{self.ratio:.3f} of etcd's gateway "
            f"(pairs {min(self.ratios):.3f} to {max(self.ratios):.3f}); "
            f"{statistics.median(self.ours):.0f}/s against {statistics.median(self.theirs):.0f}/s; "
            f"CPU a request: worker {statistics.median(self.worker_us):.0f} us and "
            f"etcd {statistics.median(self.etcd_us):.0f} us, "
            f"against etcd {statistics.median(self.gateway_us):.0f} us"
        )


def compare(
    lab: Lab, ours: load.Target, gateway: load.Target, rounds: int, seconds: int
) -> Comparison:
    """Load the service and the gateway in turn."""
    found = Comparison()
    for target in (ours, gateway):
        load.run(target, 1)  # warm, uncounted
    for _ in range(rounds):
        worker, etcd = cpu_microseconds(lab.worker), cpu_microseconds(lab.etcd_pid)
        mine = load.run(ours, seconds)
        found.worker_us.append((cpu_microseconds(lab.worker) - worker) / mine.requests)
        between = cpu_microseconds(lab.etcd_pid)
        found.etcd_us.append((between - etcd) / mine.requests)
        other = load.run(gateway, seconds)
        found.gateway_us.append((cpu_microseconds(lab.etcd_pid) - between) / other.requests)
        found.ours.append(mine.per_second)
        found.theirs.append(other.per_second)
        found.ratios.append(mine.per_second / other.per_second)
    return found
