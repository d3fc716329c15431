"""Many idle readers of one stack in this process: bare sockets with epoll."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from bench.lab import Lab, cpu_microseconds, resident_kib

TOGETHER = 20  # readers that connect at the same time
PATIENCE = 30.0  # seconds in which an event must reach all readers
WARM = 1  # events that are not counted
STREAM = (
    b"GET /v1/stacks/watched/events HTTP/1.1\r\nHost: localhost\r\n"
    b"Accept: text/event-stream\r\n\r\n"
)
LONG_POLL = (
    b"GET /v1/stacks/watched/facts/never?wait=50 HTTP/1.1\r\nHost: localhost\r\n"
    b"Accept: application/json\r\n\r\n"
)
BEGUN = b": factstore"  # the first line of a stream


@dataclass(frozen=True)
class Connected:
    """The cost of each reader to the server: CPU microseconds to connect it, and memory while idle."""

    connect_us: float
    kib: float


@dataclass(frozen=True)
class Fanout:
    """Times of events, from the response to the PUT to the last reader, in ms.

    :ivar from_start_ms: the same, from the start of the PUT.
    :ivar server_us: CPU microseconds that the server spent on each event.
    """

    last_ms: list[float]
    from_start_ms: list[float]
    server_us: list[float]


class Readers:
    """Context manager for many connections that have sent one request each."""

    def __init__(self, url: str, server: int, request: bytes, begun: bytes = b"") -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._server = server
        self._request = request
        self._begun = begun
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self._sockets.values():
            connection.close()
        self._epoll.close()

    def __len__(self) -> int:
        return len(self._sockets)

    def connect(self, count: int, settle: float = 1.0) -> Connected:
        """Connect readers; return the cost of each of them.

        :param settle: seconds after which the memory is read, if no response is expected.
        :raises TimeoutError: a response did not begin.
        """
        memory, cpu = resident_kib(self._server), cpu_microseconds(self._server)
        # In small groups, because the memory of many simultaneous requests would not be freed.
        for start in range(0, count, TOGETHER):
            group = [self._connect() for _ in range(min(TOGETHER, count - start))]
            if self._begun:
                self._wait_for(self._begun, set(group))
        if not self._begun:
            time.sleep(settle)
        spent = cpu_microseconds(self._server) - cpu
        return Connected(spent / count, (resident_kib(self._server) - memory) / count)

    def fanout(self, publish: Callable[[str], None], events: int) -> Fanout:
        """Publish events one by one; return the times until all readers had each of them.

        :param publish: publishes a text, and returns when that is answered.
        :raises TimeoutError: an event did not reach all readers.
        """
        found = Fanout([], [], [])
        for number in range(events + WARM):
            mark = f"event-{number:06d}"
            used, start = cpu_microseconds(self._server), time.perf_counter()
            publish(mark)
            answered = time.perf_counter()
            last = self._wait_for(mark.encode(), set(self._sockets))
            if number >= WARM:
                found.last_ms.append(max(0.0, last - answered) * 1000)
                found.from_start_ms.append((last - start) * 1000)
                found.server_us.append(float(cpu_microseconds(self._server) - used))
        return found

    def _connect(self) -> int:
        connection = socket.create_connection(self._address)
        connection.sendall(self._request)
        connection.setblocking(False)
        self._sockets[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)
        return connection.fileno()

    def _wait_for(self, mark: bytes, missing: set[int]) -> float:
        """Return the time at which the last of some connections had received *mark*."""
        rest: dict[int, bytes] = {}
        sockets, end = self._sockets, time.perf_counter() + PATIENCE
        now = time.perf_counter()
        while missing:
            ready = self._epoll.poll(1, 1024)
            for descriptor, _ in ready:
                data = sockets[descriptor].recv(65536)
                if mark in data or mark in rest.get(descriptor, b"") + data:
                    missing.discard(descriptor)
                elif not data:
                    raise TimeoutError("the server closed a connection")
                else:
                    rest[descriptor] = data[-len(mark) :]
            now = time.perf_counter()
            if now > end:
                raise TimeoutError(f"{len(missing)} readers did not receive {mark!r}")
        return now


def streams(lab: Lab) -> Readers:
    """Return watchers of a stack."""
    return Readers(lab.url, lab.worker, STREAM, BEGUN)


def long_polls(lab: Lab) -> Readers:
    """Return requests that wait for a fact that does not exist."""
    return Readers(lab.url, lab.worker, LONG_POLL)


def writer(lab: Lab) -> Callable[[str], None]:
    """Return a function that writes a fact of the watched stack."""
    session = requests.Session()
    session.trust_env = False

    def publish(text: str) -> None:
        url = f"{lab.url}/v1/stacks/watched/facts/tick"
        session.put(url, json={"value": text}, timeout=PATIENCE).raise_for_status()

    return publish
