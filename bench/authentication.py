"""Measure the cost of Keystone tokens: cached by the worker, and new to it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from bench import load
from bench.lab import Lab, cpu_microseconds

TOKENS = 40


@dataclass
class Cost:
    """Runs with and without authentication in turn, and requests with new tokens.

    Costs are CPU microseconds of the worker for each request; times are milliseconds of one caller.
    """

    open_us: list[float] = field(default_factory=list)
    hot_us: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    hot_ms: list[float] = field(default_factory=list)
    cold_ms: list[float] = field(default_factory=list)
    cold_us: float = 0.0


def run(unguarded: Lab, guarded: Lab, rounds: int, seconds: int) -> Cost:
    """GET a fact from both services in turn, then once with each of many new tokens."""
    found = Cost()
    for lab in (unguarded, guarded):
        load.run(load.factstore("GET", lab), 1)
    for _ in range(rounds):
        rates = []
        for lab, costs in ((unguarded, found.open_us), (guarded, found.hot_us)):
            before = cpu_microseconds(lab.worker)
            done = load.run(load.factstore("GET", lab), seconds)
            costs.append((cpu_microseconds(lab.worker) - before) / done.requests)
            rates.append(done.per_second)
        found.ratios.append(rates[1] / rates[0])
    _first_uses(guarded, found)
    return found


def _first_uses(lab: Lab, found: Cost) -> None:
    assert lab.keystone is not None
    tokens = [lab.keystone.accounts.issue("owner") for _ in range(TOKENS)]
    with lab.session() as session:
        url = f"{lab.url}/v1/stacks/s0/facts/nodes/n0/ip"
        before = cpu_microseconds(lab.worker)
        for token in tokens:
            found.cold_ms.append(_timed(session, url, token))
        found.cold_us = (cpu_microseconds(lab.worker) - before) / len(tokens)
        for token in tokens:
            found.hot_ms.append(_timed(session, url, token))


def _timed(session: object, url: str, token: str) -> float:
    began = time.perf_counter()
    answer = session.get(url, headers={"X-Auth-Token": token}, timeout=30)  # type: ignore[attr-defined]
    answer.raise_for_status()
    return (time.perf_counter() - began) * 1000


def shown(found: Cost) -> list[str]:
    """Return the figures as lines."""
    hot, bare = statistics.median(found.hot_us), statistics.median(found.open_us)
    known = (
        f"token known: {statistics.median(found.ratios):.2f} of the speed without authentication "
        f"(pairs {min(found.ratios):.2f} to {max(found.ratios):.2f}); "
        f"worker {hot:.0f} us a GET against {bare:.0f} us"
    )
    new = (
        f"token new: {statistics.median(found.cold_ms):.1f} ms for the first GET against "
        f"{statistics.median(found.hot_ms):.1f} ms for the next, "
        f"{found.cold_us / 1000:.1f} ms of it the worker's CPU"
    )
    return [known, new]
