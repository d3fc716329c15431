"""Connections whose clients hang up or stand still, on sockets and in gevent's own loop."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import gevent
import gevent.event
import gevent.socket
import pytest
from gunicorn.http.errors import LimitRequestHeaders

from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.connection_limits import ConnectionLimits
from factstore.wsgi.server import connections, greenlet_scheduler
from factstore.wsgi.server.connection import (
    CURRENT,
    HEADER_BYTES,
    Connection,
)
from factstore.wsgi.server.connections import Connections, set_listener_options
from factstore.wsgi.server.greenlet_scheduler import GreenletScheduler
from factstore.wsgi.server.receiver import use_fast_path
from factstore.wsgi.server.timeouts import BodyTimeout, RequestTimeout
from tests.unit.core.factories import ManualClock

PATIENCE = 120.0
SOON = 0.05  # seconds of the limits that tests let pass
MIB = 1024 * 1024
FLOW = ("p", False)
RESPONSE = b"HTTP/1.1 200 OK\r\n\r\n"


class HeldQueue:
    """Serves the fair queue when the test calls :meth:`serve`."""

    def schedule(self, serve: Callable[[], None]) -> None:
        self._serve = serve

    def serve(self) -> None:
        gevent.get_hub().loop.run_callback(self._serve)


class Worker:
    """The connections of a worker, and their clients.

    :param seconds: all time limits.
    :param most: the number of connections.
    """

    def __init__(self, seconds: float = PATIENCE, body_bytes: int = MIB, most: int = 1000) -> None:
        self.limits = ConnectionLimits(seconds, seconds, seconds, body_bytes)
        self.closed: Counter[str] = Counter()
        self.connections = Connections(
            self.limits, lambda reason: self.closed.update([reason]), most
        )
        self.scheduler = GreenletScheduler(ManualClock())
        self.change = self.scheduler.new_change_wake_up()
        self.commit = self.scheduler.new_wake_up()
        self._listener = gevent.socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        set_listener_options(self._listener, self.limits)
        self._clients: list[socket.socket] = []

    def serve(
        self, handler: Callable[[Connection], Any], sent: bytes = b""
    ) -> tuple[socket.socket, gevent.Greenlet]:
        """Return the client of a new connection, and the greenlet in which the worker serves it.

        :param sent: what the client has sent when the worker accepts the connection.
        """
        client = socket.create_connection(self._listener.getsockname(), timeout=PATIENCE)
        self._clients.append(client)
        client.sendall(sent)
        served, _ = self._listener.accept()

        def serve() -> Any:
            connection = Connection(served, self.connections, lambda: self.limits.idle_seconds)
            self.connections.add(connection)
            CURRENT.set(connection)
            try:
                return handler(connection)
            except (ClientGone, OSError, RequestTimeout, LimitRequestHeaders) as error:
                return type(error)
            finally:
                connection.close()

        greenlet = gevent.spawn(serve)
        gevent.sleep(0)
        return client, greenlet

    def accept(self, path: Any) -> socket.socket:
        """Return the client of a new connection, which waits in the hub for its first request."""
        client = socket.create_connection(self._listener.getsockname(), timeout=PATIENCE)
        self._clients.append(client)
        served, _ = self._listener.accept()

        def accept() -> None:
            connection = Connection(served, self.connections, lambda: self.limits.idle_seconds)
            use_fast_path(connection, path, self.connections, local=True).readable()
            self.connections.add(connection)

        gevent.get_hub().loop.run_callback(accept)
        return client

    def wait(self, kind: str) -> tuple[socket.socket, gevent.Greenlet]:
        """Return the client of a request that waits, and its greenlet, whose result is True."""

        def handler(connection: Connection) -> bool:
            connection.begin_request(Mock(version=(1, 1)))
            if kind == "stream":
                connection.begin_stream(Mock())
            WAITS[kind](self)
            connection.sendall(RESPONSE)
            return True

        return self.serve(handler)

    def close(self) -> None:
        self._listener.close()
        for client in self._clients:
            client.close()


WAITS: dict[str, Callable[[Worker], object]] = {
    "change": lambda worker: worker.change.wait(PATIENCE),
    "stream": lambda worker: worker.change.wait(PATIENCE),
    "delay": lambda worker: worker.scheduler.sleep(PATIENCE),
    "queue": lambda worker: worker.scheduler.start(FLOW),
}


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> HeldQueue:
    """A fair queue in which all requests of a flow but the first one wait."""
    held = HeldQueue()
    monkeypatch.setattr(greenlet_scheduler, "_Idle", lambda: held)
    return held


@pytest.fixture
def worker(queue: HeldQueue) -> Iterator[Worker]:
    made = Worker()
    gevent.spawn(made.scheduler.start, FLOW).join()
    yield made
    made.close()


def hang_up(client: socket.socket, *, reset: bool) -> None:
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_function_is_called_until_nothing_is_left_and_again_from_the_next_beginning(
    worker: Worker,
) -> None:
    left: list[int] = []
    ended = gevent.event.Event()

    def call() -> bool:
        left.pop()
        if not left:
            ended.set()
        return bool(left)

    begin = worker.connections.call_while(0.001, call)
    (timer,) = worker.connections._timers[-1:]
    for times in (3, 2):
        left[:] = range(times)
        ended.clear()
        begin()
        begin()
        assert ended.wait(PATIENCE)
        assert left == []
        assert not timer.active


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("kind", WAITS)
def test_a_request_ends_when_its_client_hangs_up(worker: Worker, kind: str, reset: bool) -> None:
    client, request = worker.wait(kind)
    hang_up(client, reset=reset)
    assert request.get(timeout=PATIENCE / 2) is ClientGone
    assert worker.closed == {"hung_up": 1}
    assert worker.connections.gauges()["connections"] == 0


@pytest.mark.parametrize("kind", WAITS)
def test_a_client_that_hung_up_before_its_request_waits_is_noticed(
    worker: Worker, kind: str
) -> None:
    def handler(connection: Connection) -> None:
        connection.begin_request(Mock(version=(1, 1)))
        worker.commit.wait(PATIENCE)  # which is not disturbed
        WAITS[kind](worker)

    client, request = worker.serve(handler)
    hang_up(client, reset=True)
    gevent.sleep(SOON)
    assert not request.ready()
    worker.commit.set()
    assert request.get(timeout=PATIENCE / 2) is ClientGone


@pytest.mark.parametrize(
    ("kind", "early"), [("change", b"H"), ("queue", b"H"), ("stream", b"8\r\n: ping\n\n\r\n")]
)
def test_a_client_that_closed_its_sending_side_gets_its_response(
    worker: Worker, queue: HeldQueue, kind: str, early: bytes
) -> None:
    client, request = worker.wait(kind)
    client.shutdown(socket.SHUT_WR)
    gevent.socket.wait_read(client.fileno(), timeout=PATIENCE)
    assert client.recv(100) == early
    worker.change.set()
    queue.serve()
    assert request.get(timeout=PATIENCE) is True
    received = early if kind != "stream" else b""
    while piece := client.recv(100):
        received += piece
    assert received == RESPONSE


def test_a_client_that_hangs_up_after_it_closed_its_sending_side_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "PROBE_SECONDS", SOON)
    worker = Worker()
    client, request = worker.wait("change")
    client.shutdown(socket.SHUT_WR)
    gevent.socket.wait_read(client.fileno(), timeout=PATIENCE)
    assert client.recv(1) == b"H"
    client.close()
    assert request.get(timeout=PATIENCE / 2) is ClientGone
    worker.close()


READS = {
    "nothing": (b"", b"", "idle"),
    "half a header": (b"GET / HT", RequestTimeout, "read_timeout"),
    "half a body": (b"PUT / HTTP/1.1\r\n\r\n{", BodyTimeout, "read_timeout"),
}


@pytest.mark.parametrize(("sent", "result", "reason"), READS.values(), ids=READS)
def test_a_request_that_does_not_arrive_ends(sent: bytes, result: object, reason: str) -> None:
    worker = Worker(SOON)
    request = Mock()

    def handler(connection: Connection) -> bytes:
        while data := connection.recv(100):
            if b"\r\n\r\n" in data:
                connection.begin_request(request)
        return data

    _, greenlet = worker.serve(handler, sent)
    assert greenlet.get(timeout=PATIENCE) == result
    assert worker.closed == {reason: 1}
    assert request.force_close.called == (result is BodyTimeout)
    worker.close()


def test_a_worker_that_is_full_closes_the_connection_that_was_idle_for_longest() -> None:
    worker = Worker(most=3)
    served = []
    for number in range(3):
        client, request = worker.serve(lambda connection: connection.recv(100))
        served.append((client, request))
        if number < 2:
            gevent.sleep(SOON)
    assert served[0][1].get(timeout=PATIENCE) == b""
    assert not served[1][1].ready()
    assert worker.closed == {"idle": 1}
    for client, request in served[1:]:
        client.sendall(b"GET")
        assert request.get(timeout=PATIENCE) == b"GET"
    worker.close()


def test_a_body_that_trickles_ends_although_it_never_pauses_for_long() -> None:
    worker = Worker(4 * SOON)

    def handler(connection: Connection) -> None:
        connection.begin_request(Mock())
        while True:
            connection.recv(1)

    client, request = worker.serve(handler)
    while not request.ready():
        client.sendall(b"x" * 10)
        gevent.sleep(SOON / 10)
    assert request.value is BodyTimeout
    worker.close()


def test_the_bodies_that_have_been_arriving_for_longest_make_room_for_others() -> None:
    worker = Worker(body_bytes=5)

    def handler(connection: Connection) -> bytes:
        connection.begin_request(Mock())
        received = b""
        while len(received) < 4:
            received += connection.recv(4)
        return received

    first, stalled = worker.serve(handler)
    first.sendall(b"123")
    with gevent.Timeout(PATIENCE):
        while worker.connections.gauges()["body_bytes"] != 3:
            gevent.sleep(0.001)
    second, complete = worker.serve(handler)
    second.sendall(b"123")
    assert stalled.get(timeout=PATIENCE) is BodyTimeout
    second.sendall(b"4")
    assert complete.get(timeout=PATIENCE) == b"1234"
    assert worker.connections.gauges()["body_bytes"] == 0
    worker.close()


def test_headers_without_end_are_refused() -> None:
    worker = Worker()

    def handler(connection: Connection) -> None:
        while True:
            connection.recv(8192)

    client, request = worker.serve(handler)
    client.sendall(b"X-A: b\r\n" * (HEADER_BYTES // 8 + 1))
    assert request.get(timeout=PATIENCE) is LimitRequestHeaders
    worker.close()


def test_a_client_that_reads_nothing_loses_its_connection() -> None:
    worker = Worker(SOON)
    _, response = worker.serve(lambda connection: connection.sendall(bytes(16 * MIB)))
    assert response.get(timeout=PATIENCE) is BrokenPipeError
    assert worker.closed == {"write_timeout": 1}
    worker.close()


def test_a_client_that_reads_slowly_gets_its_response() -> None:
    worker = Worker(60 * SOON)
    client, response = worker.serve(lambda connection: connection.sendall(bytes(2 * MIB)))
    received = 0
    while not response.ready():
        received += len(client.recv(64 * 1024))
        gevent.sleep(2 * SOON)
    assert response.value is None
    assert received > MIB
    assert not worker.closed
    worker.close()
