"""The cost of finding out who waits for whom, while 1,000 reads are blocked.

Each read is one of a member, and waits for a fact of the next member, so that all of them are a circle.
The worker looks at the waits every few seconds; these looks are compared with those at the same stack
without blocked reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

from bench import members
from bench.caller import Caller
from bench.lab import Lab, cpu_microseconds
from bench.report import Report

READERS = 1000
STACK = "/v1/stacks/waits"
LOOKS = 2
LOOK_SECONDS = 5.0  # between two looks of a worker
SHARED_WITHIN = 6 * LOOK_SECONDS  # all blocked reads are stored
PAUSE = 0.5  # seconds between two checks of that
REQUESTS = 20
CALLERS = 8


def run(report: Report) -> None:
    """Measure looks, requests and writes, first without blocked reads and then with them."""
    report.section(
        f"The waits in a stack with {READERS:,} members",
        ["", "ms of the worker for each look", "ms for GET of the waits", "revisions in a minute"],
    )
    with Lab() as lab, lab.caller() as caller:
        members.join(lab, "waits", [f"n{number}" for number in range(READERS)], ttl=3600)
        report.row("no read is blocked", *_figures(lab, caller))
        with _blocked(lab):
            _wait_until_stored(caller)
            report.row(f"{READERS:,} reads are blocked, in one circle", *_figures(lab, caller))


def _wait_until_stored(caller: Caller) -> None:
    """Wait until looks have stored all blocked reads.

    :raises AssertionError: they have not in time.
    """
    end = time.monotonic() + SHARED_WITHIN
    circles: list[int] = []
    while circles != [READERS]:
        assert time.monotonic() < end, f"circles of {circles} reads"
        time.sleep(PAUSE)
        found = caller.request("GET", f"{STACK}/waits").json()
        circles = [len(circle["members"]) for circle in found["circles"]]


def _figures(lab: Lab, caller: Caller) -> Iterator[str]:
    before, head = cpu_microseconds(lab.worker), _head(caller)
    time.sleep(LOOKS * LOOK_SECONDS)
    yield f"{(cpu_microseconds(lab.worker) - before) / LOOKS / 1000:.1f}"
    written, before = _head(caller) - head, cpu_microseconds(lab.worker)
    for _ in range(REQUESTS):
        caller.request("GET", f"{STACK}/waits")
    yield f"{(cpu_microseconds(lab.worker) - before) / REQUESTS / 1000:.1f}"
    yield f"{written * 60 / (LOOKS * LOOK_SECONDS):.0f}"


def _head(caller: Caller) -> int:
    """Return the newest revision that anybody who watches the stack can notice."""
    cursor = caller.request("GET", f"{STACK}/context").headers["Factstore-Cursor"]
    return int(cursor.partition(".")[2])


@contextmanager
def _blocked(lab: Lab) -> Iterator[None]:
    """Block a read of each member until the end."""
    address = urlsplit(lab.url).netloc

    def block(number: int) -> HTTPConnection:
        connection = HTTPConnection(address)
        path = f"{STACK}/facts/nodes/n{(number + 1) % READERS}/key?wait=50"
        connection.request("GET", path, headers=grants[number])
        return connection

    def grant(number: int) -> dict[str, str]:
        with lab.caller() as own:
            body = {"member": f"n{number}", "role": "agent", "ttl": 3600}
            token = own.request("POST", f"{STACK}/grants", body).json()["token"]
            return {"Authorization": f"Bearer {token}"}

    with ThreadPoolExecutor(CALLERS) as callers, ExitStack() as stack:
        grants = list(callers.map(grant, range(READERS)))
        for number in range(READERS):
            stack.callback(block(number).close)
        yield
