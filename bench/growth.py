"""Measure the cost for growing numbers of facts, sizes of values and numbers of watchers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import requests

from bench import load, speed, watchers
from bench.lab import STACKS, Lab, cpu_microseconds

FACTS_PER_STACK = (10, 100, 1_000, 10_000)
VALUE_BYTES = (40, 1_000, 10_000, 60_000)
WATCHERS = (0, 100, 1_000)
BATCH = 90


def by_facts(lab: Lab, repeats: int) -> Iterator[str]:
    """Yield the costs of one caller's requests in stacks of growing size."""
    with lab.session() as session:
        for count in FACTS_PER_STACK:
            stack = f"{lab.url}/v1/stacks/grown{count}"
            for start in range(0, count, BATCH):
                numbers = range(start, min(start + BATCH, count))
                operations = [{"put": {"path": f"nodes/n{n}/ip", "value": n}} for n in numbers]
                answer = session.post(f"{stack}/batch", json={"operations": operations}, timeout=30)
                answer.raise_for_status()
            middle = f"{stack}/facts/nodes/n{count // 2}/ip"

            def get(url: str = middle, **headers: str) -> Callable[[int], requests.Response]:
                return lambda n: session.get(url, headers=headers, timeout=60)

            def put(url: str = middle, new: bool = False) -> Callable[[int], requests.Response]:
                def write(number: int) -> requests.Response:
                    to = f"{url}{number}" if new else url
                    return session.put(to, json={"value": time.time()}, timeout=60)

                return write

            context = f"{stack}/context"
            etag = session.get(context, timeout=60).headers["ETag"]
            costs = {
                "GET": get(),
                "PUT": put(),
                "creation": put(f"{stack}/facts/nodes/new", new=True),
                "page of 100": get(f"{stack}/facts?limit=100"),
                "context kept": get(context),
                "context known": get(context, **{"If-None-Match": etag}),
            }
            shown = (f"{name} {_cost(lab, call, repeats):.0f}" for name, call in costs.items())
            yield f"{count} facts: {', '.join(shown)} us of the worker's CPU"


def _cost(lab: Lab, call: Callable[[int], requests.Response], repeats: int) -> float:
    call(0).raise_for_status()
    before = cpu_microseconds(lab.worker)
    for number in range(1, repeats + 1):
        call(number).raise_for_status()
    return (cpu_microseconds(lab.worker) - before) / repeats


def by_value(lab: Lab, rounds: int, seconds: int) -> Iterator[str]:
    """PUT and GET against the gateway's, with growing values."""
    for size in VALUE_BYTES:
        # A hundred facts, so that each has been written before it is read.
        setting = {"value_bytes": size, "spread": STACKS}
        put = speed.compare(
            lab,
            load.factstore("PUT", lab, **setting),
            load.gateway("PUT", lab, **setting),
            rounds,
            seconds,
        )
        get = speed.compare(
            lab,
            load.factstore("GET", lab, fact="load", spread=STACKS),
            load.gateway("GET", lab, spread=STACKS),
            rounds,
            seconds,
        )
        yield (
            f"{size} bytes: PUT {put.ratio:.3f}, GET {get.ratio:.3f} of the gateway; worker "
            f"{statistics.median(put.worker_us):.0f} and {statistics.median(get.worker_us):.0f} us, "
            f"etcd {statistics.median(put.etcd_us):.0f} us a PUT against "
            f"{statistics.median(put.gateway_us):.0f}"
        )


def by_watchers(lab: Lab, events: int) -> Iterator[str]:
    """Yield the time from a PUT to the last watcher, for growing numbers of watchers."""
    for count in WATCHERS[1:]:
        result = watchers.run(lab, count, events)
        yield (
            f"{count} watchers: {statistics.median(result.last_ms):.0f} ms to the last, "
            f"{statistics.median(result.worker_us) / count:.1f} us of the worker's CPU a delivery"
        )
