"""The division of requests between the fast path and gunicorn, in gevent's loop."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import Mock

import gevent
import gevent.socket
import pytest

from factstore.wsgi.fast_path.fast_path import VERSIONS, Response
from factstore.wsgi.fast_path.http_request import Reader, Request
from factstore.wsgi.server import connections, loop_receiver
from factstore.wsgi.server.connection import Connection
from factstore.wsgi.server.receiver import Receiver, use_fast_path
from tests.raw_http import request_bytes
from tests.unit.wsgi.test_connection import PATIENCE, SOON, Worker

GET = request_bytes("GET", "/v1/stacks/s/facts/a")
LINE = GET.index(b"\r\n") + 2
OTHER = request_bytes("GET", "/v1/stacks/s/facts")


class Path:
    """A fast path whose reads end when the test ends them."""

    def __init__(self) -> None:
        self.parse: Callable[[bytes], object] = Reader(VERSIONS).read
        self.reads: list[Callable[[Response], None]] = []
        self.gone = Mock()
        self.starts_writes = False
        self.serve: Callable[..., list[bytes] | None] = Mock()

    def start(
        self,
        request: Request,
        respond: Callable[[Response], None],
        attend: Callable[[Callable[[], None]], None],
        *,
        local: bool,
        begins_streams: bool,
    ) -> bool:
        if not request.reads_fact and not self.starts_writes:
            return False
        if request.noun == "context":
            attend(self.gone)
        self.reads.append(respond)
        return True


@pytest.fixture
def path() -> Path:
    return Path()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def serve(worker: Worker, path: Path) -> tuple[socket.socket, gevent.Greenlet]:
    """Return a client, and the greenlet that returns what gunicorn gets first."""

    def handler(connection: Connection) -> bytes:
        use_fast_path(connection, path, worker.connections, local=True)  # type: ignore[arg-type]
        return connection.recv(8192)

    return worker.serve(handler)


def received(client: socket.socket, size: int) -> bytes:
    gevent.socket.wait_read(client.fileno(), timeout=PATIENCE)
    return client.recv(size)


def begun(path: Path, number: int = 1) -> None:
    """Wait until the fast path has begun a number of reads."""
    with gevent.Timeout(PATIENCE):
        while len(path.reads) < number:
            gevent.sleep(0.001)


def test_a_failure_in_the_hub_leaves_the_request_to_gunicorn_and_others_alone(
    worker: Worker, path: Path
) -> None:
    path.parse = Mock(side_effect=ZeroDivisionError)
    served = [serve(worker, path) for _ in range(3)]
    for client, _ in served:
        client.sendall(GET)
    assert [request.get(timeout=PATIENCE) for _, request in served] == [GET] * 3


def test_a_read_whose_client_has_gone_ends_its_connection(worker: Worker, path: Path) -> None:
    client, request = serve(worker, path)
    client.sendall(GET)
    begun(path)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    gevent.sleep(SOON)
    path.reads[0](b"the answer")
    assert request.get(timeout=PATIENCE) == b""
    assert worker.closed == {"hung_up": 1}


def test_a_client_that_does_not_read_the_end_of_a_response_is_counted(path: Path) -> None:
    worker = Worker(1)  # the system closes the connection after a second, too
    worker.limits = replace(worker.limits, idle_seconds=PATIENCE)
    client, request = serve(worker, path)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.sendall(GET)
    begun(path)
    # More than the system of the client keeps, and less than that of the worker does.
    path.reads[0](bytes(connections.UNSENT_BYTES))
    assert worker.connections.idle, "the system has accepted all of it"
    assert request.get(timeout=PATIENCE) == b""
    assert worker.closed == {"write_timeout": 1}
    worker.close()


def test_a_worker_that_stops_closes_idle_connections_and_no_request_is_lost(
    worker: Worker, path: Path
) -> None:
    idle, part, unread, busy = (serve(worker, path) for _ in range(4))
    busy[0].sendall(GET)
    begun(path)
    part[0].sendall(GET[:-1])
    gevent.sleep(SOON)
    unread[0].sendall(GET)
    worker.connections.close_idle()
    assert idle[1].get(timeout=PATIENCE) == b""
    assert part[1].get(timeout=PATIENCE) == GET[:-1]
    assert unread[1].get(timeout=PATIENCE) == GET
    path.reads[0](b"the answer")
    assert received(busy[0], 100) == b"the answer"
    busy[0].sendall(GET)  # gunicorn closes the connection after this one
    assert busy[1].get(timeout=PATIENCE) == GET


def test_the_body_of_a_write_is_counted_while_it_is_carried_out(worker: Worker, path: Path) -> None:
    counted = []

    def answer(request: Request, *, local: bool, begin_stream: object) -> list[bytes]:
        counted.append(worker.connections.gauges()["body_bytes"])
        return [b"the ", b"answer"]

    path.serve = answer
    client, _ = serve(worker, path)
    body = request_bytes("POST", "/v1/stacks/s/batch", "Content-Type: application/json", body=b"12")
    client.sendall(body)
    assert b"".join([received(client, 4), received(client, 6)]) == b"the answer"
    gevent.sleep(0)
    assert counted == [2]
    assert worker.connections.gauges()["body_bytes"] == 0


@pytest.mark.parametrize("response", [b"the answer", lambda: [b"the answer"]])
def test_a_large_body_is_counted_while_it_is_handled_in_the_loop(
    worker: Worker, path: Path, response: Response
) -> None:
    path.starts_writes = True
    client, _ = serve(worker, path)
    target, size = "/v1/stacks/s/batch", loop_receiver.COUNTED_BYTES
    for number, (length, expected) in enumerate(((size, size), (size - 1, 0)), 1):
        client.sendall(request_bytes("POST", target, body=b"1" * length))
        begun(path, number)
        assert worker.connections.gauges()["body_bytes"] == expected
        path.reads[-1](response)
        assert received(client, 100) == b"the answer"
        gevent.sleep(0)
        assert worker.connections.gauges()["body_bytes"] == 0


def test_requests_behind_one_for_gunicorn_come_after_it(worker: Worker, path: Path) -> None:
    client, request = serve(worker, path)
    client.sendall(GET + OTHER + GET)
    begun(path)
    assert not request.ready(), "the first is answered first"
    path.reads[0](b"1")
    assert request.get(timeout=PATIENCE) == OTHER + GET
    assert received(client, 100) == b"1"
    assert len(path.reads) == 1


@pytest.mark.parametrize(
    "response", [None, lambda: [b"resumed"], b"at once"], ids=["again", "resumed", "at once"]
)
def test_a_write_that_was_started_ends_in_the_loop_or_in_the_greenlet(
    worker: Worker, path: Path, response: Response
) -> None:
    path.starts_writes, path.serve = True, Mock(return_value=[b"from the beginning"])
    client, _ = serve(worker, path)
    client.sendall(request_bytes("PUT", "/v1/stacks/s/facts/a", body=b"{}") + GET)
    begun(path)
    path.reads[0](response)
    if isinstance(response, bytes):
        expected = response
    else:
        expected = b"resumed" if response else b"from the beginning"
    assert received(client, 100) == expected
    assert path.serve.called == (response is None)
    begun(path, 2)
    path.reads[1](b"the read behind")
    assert received(client, 100) == b"the read behind"


WAIT = request_bytes("GET", "/v1/stacks/s/context?wait=50")


def test_a_wait_whose_client_has_gone_is_abandoned(worker: Worker, path: Path) -> None:
    path.starts_writes = True
    client, request = serve(worker, path)
    client.sendall(WAIT)
    begun(path)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert request.get(timeout=PATIENCE) == b""
    path.gone.assert_called_once_with()
    assert worker.closed == {"hung_up": 1}


@pytest.mark.parametrize("by_greenlet", [False, True])
def test_a_client_that_has_sent_its_last_gets_the_response_to_its_wait(
    worker: Worker, path: Path, by_greenlet: bool
) -> None:
    path.starts_writes = True
    client, _ = serve(worker, path)
    client.sendall(WAIT)
    begun(path)
    client.shutdown(socket.SHUT_WR)
    assert received(client, 1) == b"H"  # a probe, which is the first byte of the response
    response = b"HTTP/1.1 200 OK\r\n"
    path.reads[0]((lambda: [response]) if by_greenlet else response)
    assert received(client, 100) == response[1:]
    path.gone.assert_not_called()


# Connections whose greenlet has ended


class Parked:
    """A connection that waits without a greenlet.

    :ivar served: what the greenlets that took its place have received first.
    """

    def __init__(self, worker: Worker, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loop_receiver, "PARK_SECONDS", -1.0)
        monkeypatch.setattr(connections, "EXPIRY_SECONDS", -1.0)
        self._worker = worker
        self.served: list[bytes] = []
        self.connection: Connection

        def handler(connection: Connection) -> bytes:
            self.connection = connection
            use_fast_path(connection, path, worker.connections, local=True)  # type: ignore[arg-type]
            return connection.recv(8192)

        def serve_next(connection: Connection) -> None:
            gevent.spawn(serve, connection)

        def serve(connection: Connection) -> None:
            connection.enter()
            self.served.append(connection.recv(8192))
            connection.close()

        worker.connections.streams = Mock(serve_next=serve_next)
        self.client, self.greenlet = worker.serve(handler)

    def park(self) -> None:
        """Let the greenlet end."""
        gevent.get_hub().loop.run_callback(self._worker.connections._expire_idle)
        assert self.greenlet.get(timeout=PATIENCE) == b""


@pytest.fixture
def parked(worker: Worker, path: Path, monkeypatch: pytest.MonkeyPatch) -> Parked:
    return Parked(worker, path, monkeypatch)


def test_a_connection_that_waits_for_long_needs_no_greenlet_for_the_loop(
    parked: Parked, path: Path
) -> None:
    parked.park()
    for number in (1, 2):
        parked.client.sendall(GET)
        begun(path, number)
        path.reads[-1](b"the answer")
        assert received(parked.client, 100) == b"the answer"
    assert parked.served == []


def test_a_connection_waits_for_its_first_request_without_a_greenlet(
    worker: Worker, path: Path
) -> None:
    served: list[bytes] = []

    def serve_next(connection: Connection) -> None:
        def serve() -> None:
            connection.enter()
            served.append(connection.recv(8192))
            connection.close()

        gevent.spawn(serve)

    worker.connections.streams = Mock(serve_next=serve_next)
    client = worker.accept(path)
    client.sendall(GET)
    begun(path)
    path.reads[0](b"the answer")
    assert received(client, 100) == b"the answer"
    assert served == []
    client.sendall(OTHER)
    assert received(client, 1) == b"", "the greenlet that was made for this request closed it"
    assert served == [OTHER]
    gone = worker.accept(path)
    gone.close()
    with gevent.Timeout(PATIENCE):
        while worker.connections.gauges()["connections"]:
            gevent.sleep(0.001)


@pytest.mark.parametrize("early", [0, LINE, len(GET), len(GET) + LINE, 2 * len(GET)])
@pytest.mark.parametrize("ends", [False, True])
def test_what_arrives_with_a_connection_and_later_is_read_in_order(
    worker: Worker, path: Path, early: int, ends: bool
) -> None:
    worker.connections.streams = Mock()
    client = worker.accept(path)
    client.sendall((GET + GET)[:early])
    gevent.sleep(SOON)
    client.sendall((GET + GET)[early:])
    if ends:
        client.shutdown(socket.SHUT_WR)
    for number, answer in enumerate((b"first", b"other"), 1):
        begun(path, number)
        path.reads[-1](answer)
        assert received(client, 100) == answer
    assert len(path.reads) == 2
    if ends:
        assert received(client, 1) == b""


@pytest.mark.parametrize("by_greenlet", [False, True])
def test_a_closed_connection_needs_no_memory_until_cycles_are_collected(
    worker: Worker, path: Path, by_greenlet: bool
) -> None:
    worker.connections.streams = Mock()
    gc.collect()
    gc.disable()
    try:
        before = living()
        clients = [serve(worker, path)[0] if by_greenlet else worker.accept(path) for _ in range(3)]
        for client in clients:
            client.sendall(GET)
        begun(path, 3)
        for respond in path.reads:
            respond(b"the answer")
        path.reads.clear()
        del respond
        for client in clients:
            assert received(client, 100) == b"the answer"
            client.close()
        with gevent.Timeout(PATIENCE):
            while worker.connections.gauges()["connections"]:
                gevent.sleep(0.001)
        gevent.sleep(SOON)  # the greenlets end
        assert living() == before
    finally:
        gc.enable()


def living() -> int:
    """Return the number of connections that are in memory."""
    return sum(isinstance(each, Connection | Receiver) for each in gc.get_objects())


def test_a_request_that_waits_for_long_needs_no_greenlet(parked: Parked, path: Path) -> None:
    path.starts_writes = True
    parked.client.sendall(WAIT)
    begun(path)
    parked.park()
    path.reads[0](b"the answer")
    assert received(parked.client, 100) == b"the answer"
    parked.client.sendall(OTHER)
    assert received(parked.client, 1) == b"", "the greenlet that took its place closed it"
    assert parked.served == [OTHER]


@pytest.mark.parametrize("park", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_a_request_that_arrives_as_the_idle_time_ends_is_answered(
    parked: Parked, path: Path, park: bool, late: bool
) -> None:
    if park:
        parked.park()
    else:
        gevent.sleep(SOON)
    run_callback = gevent.get_hub().loop.run_callback
    expire = parked.connection.receiver.expire  # type: ignore[union-attr]
    if not late:  # it has not been reported yet
        parked.client.sendall(GET)
    run_callback(expire, time.monotonic() + 100, 1.0, 30.0)
    if late:  # the connection is about to be closed
        run_callback(parked.client.sendall, GET)
    if not late:
        begun(path)
        path.reads[0](b"the answer")
        assert received(parked.client, 100) == b"the answer"
    elif park:
        assert received(parked.client, 1) == b""
        assert parked.served == [GET]
    else:
        assert parked.greenlet.get(timeout=PATIENCE) == GET


def test_a_parked_connection_ends_when_its_client_goes_or_the_worker_stops(
    worker: Worker, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.starts_writes = True
    kinds = ("idle", "waits", "stops")
    found = {kind: Parked(worker, path, monkeypatch) for kind in kinds}
    found["waits"].client.sendall(WAIT)
    begun(path)
    for each in found.values():
        each.park()
    for kind in ("idle", "waits"):
        found[kind].client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        found[kind].client.close()
    with gevent.Timeout(PATIENCE):
        while worker.connections.gauges()["connections"] > 1:
            gevent.sleep(0.001)
    path.gone.assert_called_once_with()
    worker.connections.close_idle()
    assert received(found["stops"].client, 1) == b""
    assert not any(each.served for each in found.values())
