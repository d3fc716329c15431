"""Many SSE watchers in one process: bare sockets with epoll."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from bench.lab import Lab, cpu_microseconds, resident_kib

TOGETHER = 20  # watchers that connect at the same time
PATIENCE = 30.0  # seconds in which an event must reach all watchers


@dataclass(frozen=True)
class Fanout:
    """Times of events, from the PUT to the first and to the last watcher, in ms.

    :param worker_us: CPU microseconds that the worker spent on each event.
    """

    first_ms: list[float]
    last_ms: list[float]
    worker_us: list[float]
    kib_per_watcher: float


def run(lab: Lab, count: int, events: int) -> Fanout:
    """Connect *count* watchers, write the events one by one, and time each.

    :raises TimeoutError: an event did not reach all watchers.
    """
    before = resident_kib(lab.worker)
    selector = selectors.DefaultSelector()
    connections: list[socket.socket] = []
    try:
        # In small groups, because the memory of many simultaneous requests would not be freed.
        for _ in range(0, count, TOGETHER):
            group = [_connect(lab.url) for _ in range(min(TOGETHER, count - len(connections)))]
            connections += group
            with selectors.DefaultSelector() as arriving:
                for connection in group:
                    arriving.register(connection, selectors.EVENT_READ)
                    selector.register(connection, selectors.EVENT_READ)
                _wait_for(arriving, b": factstore", len(group))
        held = (resident_kib(lab.worker) - before) / count
        session = requests.Session()
        first, last, spent = [], [], []
        for number in range(events + 2):
            mark = f"event-{number:06d}"
            used = cpu_microseconds(lab.worker)
            start = time.perf_counter()
            answer = session.put(
                f"{lab.url}/v1/stacks/watched/facts/tick",
                data=mark,
                headers={"Content-Type": "text/plain"},
                timeout=10,
            )
            answer.raise_for_status()
            arrivals = _wait_for(selector, mark.encode(), count)
            if number >= 2:  # the first ones warm up
                first.append((arrivals[0] - start) * 1000)
                last.append((arrivals[1] - start) * 1000)
                spent.append(float(cpu_microseconds(lab.worker) - used))
        return Fanout(first, last, spent, held)
    finally:
        for connection in connections:
            connection.close()
        selector.close()


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.sendall(
        b"GET /v1/stacks/watched/events HTTP/1.1\r\nHost: localhost\r\n"
        b"Accept: text/event-stream\r\n\r\n"
    )
    connection.setblocking(False)
    return connection


def _wait_for(selector: selectors.BaseSelector, mark: bytes, count: int) -> tuple[float, float]:
    """Return the times at which the first and the last connection had received *mark*."""
    had: set[int] = set()
    buffers: dict[int, bytes] = {}
    first = 0.0
    end = time.perf_counter() + PATIENCE
    while len(had) < count:
        ready = selector.select(1)
        if time.perf_counter() > end:
            raise TimeoutError(f"{count - len(had)} of {count} watchers did not get {mark!r}")
        for key, _ in ready:
            data = buffers.get(key.fd, b"") + key.fileobj.recv(65536)
            buffers[key.fd] = data[-len(mark) * 2 :]
            if mark in data and key.fd not in had:
                had.add(key.fd)
                first = first or time.perf_counter()
    return first, time.perf_counter()
