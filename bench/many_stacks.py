"""One stream of many stacks: the cost of an event must not grow with the number of stacks."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable

import requests

from bench.goals import at_most
from bench.lab import Lab
from bench.report import Report
from bench.watchers import BEGUN, PATIENCE, Fanout, Readers

COUNTS = (10, 1000)
ROUNDS = 5
EVENTS = 200
_WRITERS = itertools.count()


def run(report: Report) -> None:
    """Measure the same writes with a stream of few stacks and of many, in turn on one worker."""
    found: dict[int, list[Fanout]] = {count: [] for count in COUNTS}
    with Lab() as lab, requests.Session() as session:
        session.trust_env = False
        for count in COUNTS:
            write = _writer(lab, session, count)
            for _ in range(count):  # each stack exists and has an event
                write("first")
        for _ in range(ROUNDS):
            for count in COUNTS:
                request = (
                    f"GET /v1/events?stacks={count}-* HTTP/1.1\r\nHost: localhost\r\n"
                    "Accept: text/event-stream\r\n\r\n"
                )
                with Readers(lab.url, lab.worker, request.encode(), BEGUN) as readers:
                    readers.connect(1)
                    found[count].append(readers.fanout(_writer(lab, session, count), EVENTS))
    report.section(
        "One stream of many stacks, while single facts are written to one stack after another",
        ["stacks", "CPU µs of a write and its delivery", "ms from the answer to the event"],
    )
    for count, rounds in found.items():
        report.row(f"{count:,}", f"{_cpu(rounds):.0f}", f"{_last(rounds):.2f}")
    few, many = found.values()
    ratio = statistics.median(
        statistics.mean(each.server_us) / statistics.mean(other.server_us)
        for each, other in zip(many, few, strict=True)
    )
    goal = report.goal("CPU of an event of 1,000 stacks, times that of 10", ratio, at_most(1.2))
    report.line(f"{COUNTS[1]:,} stacks, times the CPU of {COUNTS[0]}: {ratio:.2f} (target {goal})")
    report.figure("many_stacks_ratio", ratio)
    report.figure("many_stacks_ms", _last(many))


def _writer(lab: Lab, session: requests.Session, count: int) -> Callable[[str], None]:
    """Return a function that writes a text to the next one of the stacks."""
    numbers = itertools.count()
    begin = next(_WRITERS)  # an equal value would be no event

    def write(text: str) -> None:
        url = f"{lab.url}/v1/stacks/{count}-{next(numbers) % count}/facts/tick"
        session.put(url, json={"value": f"{begin} {text}"}, timeout=PATIENCE).raise_for_status()

    return write


def _cpu(rounds: list[Fanout]) -> float:
    return statistics.median(statistics.mean(each.server_us) for each in rounds)


def _last(rounds: list[Fanout]) -> float:
    return statistics.median(statistics.median(each.last_ms) for each in rounds)
