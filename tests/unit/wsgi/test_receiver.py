"""The division of requests between the fast path and gunicorn, in gevent's loop."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import Mock

import gevent
import gevent.socket
import pytest

from factstore.wsgi.fast_path.fast_path import Response
from factstore.wsgi.fast_path.http_request import Request
from factstore.wsgi.server import connections, loop_receiver
from tests.raw_http import request_bytes
from tests.unit.wsgi.received_requests import GET, OTHER, WAIT, Path, begun, received, serve
from tests.unit.wsgi.test_connection import PATIENCE, SOON, Worker


@pytest.fixture
def path() -> Path:
    return Path()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


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
