"""Probes that write and read all the time, and the gaps in which none succeeded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from factstore.client.errors import FactstoreError
from tests.faults.etcd_gateway import RawEtcd
from tests.gate.world import World

SECONDS = 25.0


class Probe:
    """Threads that repeat calls, of which one at a time has to succeed.

    :param period: seconds between two attempts.
    :ivar successes: the instants of successes.
    """

    def __init__(self, name: str, calls: Sequence[Callable[[], object]], period: float) -> None:
        self.name = name
        self._period = period
        self.successes: list[float] = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(call,), name=name, daemon=True)
            for call in calls
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(SECONDS + 60)

    def longest_gap(self, began: float, ended: float) -> float:
        """Return the longest time without a success that overlaps an interval."""
        successes = sorted(self.successes)
        pairs = pairwise(successes)
        return max((b - a for a, b in pairs if b > began and a < ended), default=0.0)

    def _run(self, call: Callable[[], object]) -> None:
        while not self._stopping.is_set():
            try:
                call()
            except (OSError, FactstoreError):
                pass
            else:
                self.successes.append(time.monotonic())
            self._stopping.wait(self._period)


def probes(world: World, stack: str, period: float) -> dict[str, Probe]:
    """Return probes of writes and reads of the services, and of writes to the members of etcd."""
    clients = [world.client(answer_within=SECONDS).stack(stack) for _ in range(2)]
    raws = [RawEtcd(member.endpoint) for member in world.cluster.members]
    body = {"key": "L3Byb2Jl", "value": ""}  # /probe, which is no key of the service
    calls: dict[str, list[Callable[[], object]]] = {
        "writes": [lambda c=each: c.put("probe", time.time()) for each in clients],
        "reads": [lambda c=each: c.get("probe") for each in clients],
        "etcd": [lambda r=each: r.call("/v3/kv/put", body) for each in raws],
    }
    return {name: Probe(name, each, period) for name, each in calls.items()}
