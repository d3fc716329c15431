"""Measure how much the flood of one project delays the requests of another.

One project puts new facts with 64 connections as fast as possible, ignoring ``Retry-After``, until
its quota is full and beyond.  Another one reads and writes now and then.  Quiet and loud spells
alternate, and the figures are medians over pairs of neighbours.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass

from bench.lab import Lab
from bench.load import CONNECTIONS

PAUSE = 0.005  # seconds between two requests of the quiet project, so that it adds no load

_FLOOD = """
    local n = 0
    math.randomseed(os.time())
    local run = math.random(999999999)
    local headers = {["Content-Type"] = "application/json", ["X-Auth-Token"] = "TOKEN"}
    request = function()
        n = n + 1
        local path = "/v1/stacks/flood" .. n % 10 .. "/facts/n" .. run .. "/" .. n
        return wrk.format("PUT", path, headers, '{"value":"0123456789012345678901234567890123456789"}')
    end
"""


@dataclass(frozen=True)
class Spell:
    """Times of the quiet project's requests, in ms, sorted."""

    times: list[float]

    def quantile(self, part: float) -> float:
        return self.times[min(len(self.times) - 1, int(part * len(self.times)))]


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


def run(lab: Lab, rounds: int, seconds: int) -> Fairness:
    """Run the quiet project alone and together with the flood, in turn."""
    assert lab.keystone is not None
    other = lab.keystone.accounts.issue("outsider")
    quiet, loud = [], []
    answered = refused = 0
    _listen(lab, other, 1)  # warm
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_FLOOD.replace("TOKEN", lab.token))
        script.flush()
        for _ in range(rounds):
            quiet.append(_listen(lab, other, seconds))
            command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds + 2}", "-s", script.name]
            flood = subprocess.Popen([*command, lab.url], stdout=subprocess.PIPE, text=True)
            time.sleep(1)  # so that the flood covers the whole measurement
            loud.append(_listen(lab, other, seconds))
            printed = flood.communicate()[0]
            answered += _number(r"(\d+) requests in", printed)
            refused += _number(r"Non-2xx or 3xx responses: (\d+)", printed)
    return Fairness(quiet, loud, answered, refused)


def _listen(lab: Lab, token: str, seconds: float) -> Spell:
    """Send GETs and PUTs of the quiet project one after another, and return their times."""
    times = []
    with lab.session() as session:
        session.headers["X-Auth-Token"] = token
        url = f"{lab.url}/v1/stacks/quiet/facts/tick"
        end = time.perf_counter() + seconds
        number = 0
        while time.perf_counter() < end:
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
