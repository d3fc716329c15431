"""The cost of the past of a stack: reading it, and keeping values beyond the recent events.

All figures are CPU for one request, measured in turn with the read of a fact and with the same PUT in a
stack that keeps no values.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from bench.caller import Caller
from bench.lab import Lab, cpu_microseconds
from bench.report import Report

EVENTS = 5000  # recent events of the stack
CHANGES = 10  # of them concern the fact whose history is read
WRITERS = 8
REQUESTS = {
    "GET of the fact": 400,
    "its history": 20,
    "what changed since the first of these events": 20,
    "the context before them": 20,
    "PUT": 200,
    "PUT in a stack that keeps 3 values": 200,
}


def run(report: Report, rounds: int) -> None:
    """Measure the CPU of each operation in turn."""
    report.section(
        f"The past of a stack with {EVENTS:,} recent events",
        ["request", "µs of the worker", "µs of etcd"],
    )
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in REQUESTS}
    with Lab() as lab, lab.caller() as caller:
        first = _write_events(lab, caller)
        caller.request("PUT", "/v1/stacks/keeps", {"keep_values": 3})
        for _ in range(rounds):
            for name, request in _requests(caller, first).items():
                found[name].append(_cpu(lab, request, REQUESTS[name]))
    for name, each in found.items():
        worker, etcd = (statistics.median(figures) for figures in zip(*each, strict=True))
        report.row(name, f"{worker:,.0f}", f"{etcd:,.0f}")


def _write_events(lab: Lab, caller: Caller) -> str:
    """Make the recent events, and return the cursor before them."""
    caller.request("PUT", "/v1/stacks/past/facts/a", {"value": 0})
    first = caller.request("GET", "/v1/stacks/past/context").headers["Factstore-Cursor"]

    def write(writer: int) -> None:
        with lab.caller() as own:
            for number in range(EVENTS // WRITERS):
                path = f"nodes/n{writer}/load"
                own.request("PUT", f"/v1/stacks/past/facts/{path}", {"value": number})

    for change in range(CHANGES):
        caller.request("PUT", "/v1/stacks/past/facts/a", {"value": change + 1})
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, range(WRITERS)))
    return first


def _requests(caller: Caller, first: str) -> Mapping[str, Callable[[int], object]]:
    past, put = "/v1/stacks/past", ("PUT", "/v1/stacks/{}/facts/b")

    def change(stack: str) -> Callable[[int], object]:
        return lambda number: caller.request(put[0], put[1].format(stack), {"value": number})

    paths = (
        f"{past}/facts/a",
        f"{past}/history/a",
        f"{past}/diff?since={first}",
        f"{past}/context?at={first}",
    )
    reads = [lambda _, path=path: caller.request("GET", path) for path in paths]
    return dict(zip(REQUESTS, [*reads, change("plain"), change("keeps")], strict=True))


def _cpu(lab: Lab, request: Callable[[int], object], count: int) -> tuple[float, float]:
    """Return the microseconds of the worker and of etcd for one of so many requests."""
    pids = (lab.worker, lab.etcd_pid)
    request(-1)
    before = [cpu_microseconds(pid) for pid in pids]
    for number in range(count):
        request(number)
    used = [cpu_microseconds(pid) - at for pid, at in zip(pids, before, strict=True)]
    return used[0] / count, used[1] / count
