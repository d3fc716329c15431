"""Measure how much one project delays the requests of another.

One project reads or writes facts with 64 connections as fast as possible, ignoring ``Retry-After``; or
the nodes of a cluster boot in it.  Another one reads and writes now and then.  Quiet and loud spells
alternate, and the figures are medians over pairs of neighbours.

The nodes need the processors of this machine, too, which delays everything that runs on it.  So there
are spells in which as many nodes boot in another service on this machine; the ratio to these is what
the service itself adds.
"""

from __future__ import annotations

import itertools
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import load, operations
from bench.lab import Lab

SIMULATE = Path(__file__).parents[1] / "examples/slurm/simulate.py"

BEGIN_SECONDS = 0.3  # in which the flood begins
PAUSE = 0.005  # seconds between two requests of the quiet project, so that it adds no load


@dataclass(frozen=True)
class Spell:
    """Times of the quiet project's requests, in ms, sorted."""

    times: list[float]

    def quantile(self, part: float) -> float:
        return self.times[min(len(self.times) - 1, int(part * len(self.times)))]


def median(spells: list[Spell], part: float) -> float:
    """Return a quantile, in ms, as the median over the spells."""
    return statistics.median(spell.quantile(part) for spell in spells)


@dataclass(frozen=True)
class Fairness:
    """Quiet and loud spells, pair by pair, and the responses to the flood."""

    quiet: list[Spell]
    loud: list[Spell]
    answered: int
    refused: int

    def ratio(self, part: float) -> float:
        """Return the ratio of a quantile in loud and quiet spells, as the median over the pairs."""
        pairs = zip(self.quiet, self.loud, strict=True)
        return statistics.median(
            loud.quantile(part) / quiet.quantile(part) for quiet, loud in pairs
        )


def run(lab: Lab, operation: str, rounds: int, seconds: float) -> Fairness:
    """Run the quiet project alone and together with the flood, in turn.

    :param operation: what the flood does: GET, PUT or CREATE.
    """
    assert lab.keystone is not None
    other = lab.keystone.accounts.issue("outsider")
    quiet, loud = [], []
    answered = refused = 0
    _listen(lab, other, 1)  # warm
    flooding = operations.factstore(operation, lab)
    for _ in range(rounds):
        quiet.append(_listen(lab, other, seconds))
        with load.running(flooding) as flood:
            time.sleep(BEGIN_SECONDS)
            loud.append(_listen(lab, other, seconds))
        answered += _number(r"(\d+) requests in", flood.printed)
        refused += _number(r"Non-2xx or 3xx responses: (\d+)", flood.printed)
    return Fairness(quiet, loud, answered, refused)


@dataclass(frozen=True)
class Boot:
    """Spells of the quiet project, one of each kind in a round, and the requests of the nodes.

    :param alone: nobody else uses the machine.
    :param beside: the nodes boot in another service on the same machine.
    :param shared: the nodes boot in the same service.
    """

    alone: list[Spell]
    beside: list[Spell]
    shared: list[Spell]
    requests: int
    refused: int

    def ratio(self, spells: list[Spell], part: float) -> float:
        """Return the ratio of a quantile in shared and other spells, as the median over the rounds."""
        return Fairness(spells, self.shared, 0, 0).ratio(part)


def boot(lab: Lab, other: Lab, nodes: int, rounds: int, seconds: float) -> Boot:
    """Run the quiet project alone, beside nodes in another service, and beside nodes in its own."""
    assert lab.keystone is not None
    outsider = lab.keystone.accounts.issue("outsider")
    alone, beside, shared = [], [], []
    requests = refused = 0
    _listen(lab, outsider, 1)  # warm
    for _ in range(rounds):
        alone.append(_listen(lab, outsider, seconds))
        beside.append(_listen_to_boot(lab, outsider, other, nodes))
        before = _answered(lab)
        shared.append(_listen_to_boot(lab, outsider, lab, nodes))
        after = _answered(lab)
        requests += after[0] - before[0] - len(shared[-1].times)
        refused += after[1] - before[1]
    return Boot(alone, beside, shared, requests, refused)


def shown(found: Boot) -> list[str]:
    """Return the lines of the report."""
    lines = [
        f"the nodes sent {found.requests} requests in {len(found.shared)} runs, {found.refused} refused"
    ]
    for what, part in (("median", 0.5), ("95th percentile", 0.95)):
        alone, beside, shared = (
            median(spells, part) for spells in (found.alone, found.beside, found.shared)
        )
        lines.append(
            f"the other's requests, {what}: {alone:.1f} ms alone, {beside:.1f} ms while nodes boot in "
            f"another service on this machine, {shared:.1f} ms while they boot in its own: "
            f"{found.ratio(found.beside, part):.2f} times that beside another service, "
            f"{found.ratio(found.alone, part):.2f} times that alone"
        )
    return lines


def _listen_to_boot(lab: Lab, token: str, where: Lab, nodes: int) -> Spell:
    """Boot nodes in a service, and return the times of the quiet project until they agree."""
    environ = {
        **os.environ,
        "OS_AUTH_TYPE": "admin_token",
        "OS_ENDPOINT": where.url,
        "OS_TOKEN": where.token,
    }
    options = ["--nodes", str(nodes), "--join", "0", "--settle", "1", "--no-changes"]
    command = [sys.executable, str(SIMULATE), "--url", where.url, *options]
    with (
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as boots,
        ThreadPoolExecutor(1) as threads,
    ):
        lines = boots.stdout or ()
        agree = threads.submit(lambda: list(itertools.islice(lines, 2)))
        spell = _listen(lab, token, agree.done)
        boots.communicate()
    if boots.returncode:
        raise SystemExit(f"{SIMULATE.name} returned {boots.returncode}")
    return spell


def _answered(lab: Lab) -> tuple[int, int]:
    """Return the number of answered requests, and that of refusals among them."""
    text = lab.session().get(f"{lab.url}/metrics", timeout=30).text
    lines = re.findall(r'^factstore_requests_total\{.*status="(\d+)"\} (\S+)$', text, re.MULTILINE)
    total = sum(float(count) for _, count in lines)
    return round(total), round(sum(float(count) for status, count in lines if status == "429"))


def _listen(lab: Lab, token: str, until: float | Callable[[], bool]) -> Spell:
    """Send GETs and PUTs of the quiet project one after another, and return their times.

    :param until: the seconds for which to do so, or returns True at the end.
    """
    times = []
    end = time.perf_counter() + until if isinstance(until, int | float) else 0.0
    ended = until if callable(until) else lambda: time.perf_counter() >= end
    with lab.session() as session:
        session.headers["X-Auth-Token"] = token
        url = f"{lab.url}/v1/stacks/quiet/facts/tick"
        number = 0
        while not ended():
            number += 1
            began = time.perf_counter()
            if number % 2:
                answer = session.put(url, json={"value": began}, timeout=30)
            else:
                answer = session.get(url, timeout=30)
            times.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            time.sleep(PAUSE)
    return Spell(sorted(times))


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0
