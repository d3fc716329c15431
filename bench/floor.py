"""The times of etcd alone, which bound those of one caller: puts and gets over its gateway."""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable

from bench.caller import Caller
from bench.lab import Lab
from bench.peers import EACH, PUBLISH, READ, Job

_KEY = base64.b64encode(b"/floor").decode()


def run(lab: Lab, rounds: int) -> dict[str, float]:
    """Return the milliseconds of both jobs, as medians over rounds after one that is not counted."""
    found: dict[str, list[float]] = {PUBLISH: [], READ: []}
    with Caller(lab.etcd.endpoint) as caller:

        def publish(number: int) -> None:
            value = base64.b64encode(f"text-{number:035d}".encode()).decode()
            caller.request("POST", "/v3/kv/put", {"key": _KEY, "value": value})

        def read(number: int) -> None:
            caller.request("POST", "/v3/kv/range", {"key": _KEY})

        for _ in range(rounds + 1):
            for job, call in ((PUBLISH, publish), (READ, read)):
                found[job].append(_milliseconds(call))
    return {job: statistics.median(times[1:]) for job, times in found.items()}


def shown(found: dict[str, float], peer: str, jobs: dict[str, tuple[Job, Job]]) -> str:
    """Return a line: how much longer a peer takes.

    :param jobs: those of the peer, beside the service's.
    """
    parts = [
        f"{job} {ms:.2g} ms, for which {peer} takes "
        f"{statistics.median(jobs[job][1].ms) / ms:.1f} times as long"
        for job, ms in found.items()
    ]
    return f"etcd alone, asked over its gateway by one caller: {'; '.join(parts)}"


def _milliseconds(call: Callable[[int], None]) -> float:
    began = time.perf_counter()
    for number in range(EACH):
        call(number)
    return (time.perf_counter() - began) * 1000 / EACH
