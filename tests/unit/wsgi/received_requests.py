"""A fast path whose reads a test ends, and connections on which it gets requests."""

from __future__ import annotations

import socket
from collections.abc import Callable
from unittest.mock import Mock

import gevent
import gevent.socket

from factstore.wsgi.fast_path.fast_path import VERSIONS, Response
from factstore.wsgi.fast_path.http_request import Reader, Request
from factstore.wsgi.server.connection import Connection
from factstore.wsgi.server.receiver import use_fast_path
from tests.raw_http import request_bytes
from tests.unit.wsgi.test_connection import PATIENCE, Worker

GET = request_bytes("GET", "/v1/stacks/s/facts/a")
LINE = GET.index(b"\r\n") + 2
OTHER = request_bytes("GET", "/v1/stacks/s/facts")
WAIT = request_bytes("GET", "/v1/stacks/s/context?wait=50")


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
