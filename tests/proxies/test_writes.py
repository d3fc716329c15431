"""A proxy does not retry a write whose outcome it does not know."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.proxies.serving import Proxy


class Fickle(socketserver.ThreadingTCPServer):
    """A service that is healthy, accepts every request, and closes connections without a response."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hang)
        self.taken: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Hang(socketserver.StreamRequestHandler):
    server: Fickle

    def handle(self) -> None:
        request = self.rfile.readline().decode()
        headers = iter(self.rfile.readline, b"\r\n")
        sizes = [int(line[15:]) for line in headers if line.lower().startswith(b"content-length:")]
        if request.startswith("GET /healthcheck"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif request:
            self.rfile.read(*sizes or [0])
            self.server.taken.append(request.split()[0])


@pytest.fixture
def fickle() -> Iterator[list[Fickle]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(Fickle()) for _ in range(2)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield servers
        for server in servers:
            server.shutdown()


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "apache"])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_write_that_broke_off_reaches_one_service_once(
    fickle: list[Fickle], tmp_path: Path, kind: str, method: str
) -> None:
    proxy = Proxy(kind, [server.address for server in fickle], tmp_path)
    try:
        proxy.start()
        with proxy.caller() as api:
            answer = api(method, "/v1/stacks/s/facts/a", data=b"{}")
        assert answer.status_code == HTTPStatus.BAD_GATEWAY
        assert [method] == [taken for server in fickle for taken in server.taken]
    finally:
        proxy.stop()
