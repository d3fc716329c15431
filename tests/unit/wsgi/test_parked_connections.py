"""Connections whose greenlet has ended while they wait."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterator
from unittest.mock import Mock

import gevent
import gevent.socket
import pytest

from factstore.wsgi.server import connections, loop_receiver
from factstore.wsgi.server.connection import Connection
from factstore.wsgi.server.receiver import Receiver, use_fast_path
from tests.unit.wsgi.received_requests import GET, LINE, OTHER, WAIT, Path, begun, received, serve
from tests.unit.wsgi.test_connection import PATIENCE, SOON, Worker


@pytest.fixture
def path() -> Path:
    return Path()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


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
