"""Load several targets in turn, A B C A B C, so that all of them meet the same noise.

Each ratio is the median of the ratios of runs in the same round.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench import load
from bench.lab import cpu_microseconds


class Servers(Protocol):
    """The processes that serve a target, whose CPU time is measured."""

    @property
    def workers(self) -> list[int]:
        """Process ids of the service's workers."""

    @property
    def stores(self) -> list[int]:
        """Process ids of what stores its data."""


@dataclass(frozen=True)
class Side:
    """A target, and the processes that serve it.

    :param each: what one request counts for: 100 for a batch of 100 facts.
    """

    servers: Servers
    target: load.Target
    connections: int = load.CONNECTIONS
    each: int = 1


@dataclass(frozen=True)
class Run:
    """The result of a run; costs are CPU microseconds for each request."""

    per_second: float
    worker_us: float
    store_us: float


@dataclass(frozen=True)
class Runs:
    """All runs of a side, one for each round."""

    runs: Sequence[Run]

    @property
    def per_second(self) -> float:
        return statistics.median(run.per_second for run in self.runs)

    @property
    def worker_us(self) -> float:
        return statistics.median(run.worker_us for run in self.runs)

    @property
    def store_us(self) -> float:
        return statistics.median(run.store_us for run in self.runs)

    def against(self, other: Runs) -> list[float]:
        """Return the ratio of the speeds, round by round."""
        return ratios(
            (mine.per_second, theirs.per_second)
            for mine, theirs in zip(self.runs, other.runs, strict=True)
        )


def ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """Return the quotient of each pair."""
    return [mine / theirs for mine, theirs in pairs]


def in_turn(
    sides: Mapping[str, Side], rounds: int, seconds: float, *, warm: bool = True
) -> dict[str, Runs]:
    """Load all sides in each round.

    :param warm: begin with a round that is not counted.
    """
    for side in sides.values() if warm else ():
        load.run(side.target, seconds, side.connections)
    found: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(one(side, seconds))
    return {name: Runs(runs) for name, runs in found.items()}


def one(side: Side, seconds: float) -> Run:
    """Load one side."""
    worker, etcd = _spent(side.servers)
    done = load.run(side.target, seconds, side.connections)
    worker_then, etcd_then = _spent(side.servers)
    count = done.requests * side.each
    return Run(
        done.per_second * side.each, (worker_then - worker) / count, (etcd_then - etcd) / count
    )


def _spent(servers: Servers) -> tuple[int, int]:
    """Return the CPU microseconds of all workers, and of all stores."""
    return sum(map(cpu_microseconds, servers.workers)), sum(map(cpu_microseconds, servers.stores))


def spread(values: Sequence[float]) -> str:
    """Return the median and the range of ratios."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
