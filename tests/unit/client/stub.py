"""A service that misbehaves on request, and a clock whose sleep returns at once."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session

from factstore.client import Client, Stack


@dataclass(frozen=True)
class Call:
    """A request as the service received it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class FakeClock:
    """A clock that only sleep advances; it records the pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def client_at(endpoint: str | None, clock: FakeClock, **options: Any) -> Client:
    """Return a client for an endpoint."""
    return Client(Session(NoAuth(endpoint)), clock=clock, **options)


def stack_at(endpoint: str | None, clock: FakeClock, **options: Any) -> Stack:
    """Return a client's stack at an endpoint."""
    return client_at(endpoint, clock, **options).stack("slurm")


class _IPv6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class Service:
    """Gives the scripted answers in order. It serves while its context is open."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.calls: list[Call] = []
        self.unexpected: list[Call] = []
        self.script: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.released = threading.Event()  # ends the streams that stay silent
        self._host = f"[{address}]" if ":" in address else address
        self._server = (_IPv6Server if ":" in address else ThreadingHTTPServer)(
            (address, 0), self._handler()
        )
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._server.server_port}"

    def stack(self, clock: FakeClock, **options: Any) -> Stack:
        """Return a client's stack in this service."""
        return stack_at(self.url, clock, **options)

    def will(self, *steps: Callable[[BaseHTTPRequestHandler], None]) -> None:
        """Add the answers to the next requests."""
        self.script.extend(steps)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                where = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                given = parse_qs(where.query, keep_blank_values=True)
                query = {name: values[0] for name, values in given.items()}
                call = Call(
                    self.command,
                    where.path,
                    query,
                    dict(self.headers),
                    json.loads(body) if body else None,
                )
                service.calls.append(call)
                self.close_connection = True
                if service.script:
                    service.script.pop(0)(self)
                else:
                    service.unexpected.append(call)
                    hang_up(self)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class decides

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def answer(
    status: int, document: object = None, headers: Mapping[str, str] | None = None
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a complete answer: a document as JSON, or bytes unchanged."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        body = b"" if document is None else body
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)

    return step


def refusal(
    status: int, code: str, headers: Mapping[str, str] | None = None, **members: object
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an error in the service's own format."""
    entry = {
        "request_id": "req-1",
        "code": f"contextualization.{code}",
        "status": status,
        "title": "A title",
        "detail": f"about {code}",
        "links": [],
        **members,
    }
    return answer(status, {"errors": [entry]}, headers)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def stream(
    *pieces: bytes, chunked: bool = True, hold: Service | None = None
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an event stream that breaks off after these pieces.

    :param chunked: if false, the stream ends when the connection is closed.
    :param hold: stay silent after the last piece until this service ends.
    """

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header("Connection", "close")
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            data = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
            with contextlib.suppress(OSError):  # the reader has disconnected
                handler.wfile.write(data)
                handler.wfile.flush()
        if hold is not None:
            hold.released.wait(30)

    return step


def fact(path: str, value: object, revision: int = 1) -> dict[str, object]:
    """Return a fact in the service's JSON."""
    return {
        "path": path,
        "value": value,
        "kind": "observed",
        "revision": revision,
        "version": 1,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z",
        "updated_by": "somebody",
        "ttl": None,
        "etag": f"e.{revision}",
    }


def change(revision: int, path: str = "a", value: object = 1) -> bytes:
    """Return the frame of an event that puts a fact."""
    line = {
        "type": "fact.put",
        "path": path,
        "fact": fact(path, value, revision),
        "previous": None,
        "by": "somebody",
        "request_id": "req-2",
    }
    return _change(revision, [line])


def stack_delete(revision: int) -> bytes:
    """Return the frame that reports the deletion of a stack."""
    line = {"type": "stack.delete", "path": None, "fact": None, "previous": None}
    return _change(revision, [{**line, "by": "somebody", "request_id": "req-3"}])


def _change(revision: int, changes: Iterable[object]) -> bytes:
    data = json.dumps({"cursor": f"e.{revision}", "changes": list(changes)})
    return f"id: e.{revision}\nevent: change\ndata: {data}\n\n".encode()


def bookmark(revision: int) -> bytes:
    """Return a frame that moves the cursor."""
    return f'id: e.{revision}\nevent: bookmark\ndata: {{"cursor":"e.{revision}"}}\n\n'.encode()


def snapshot(*facts: dict[str, object]) -> bytes:
    """Return a frame with some facts of a snapshot."""
    return f"event: snapshot\ndata: {json.dumps({'facts': facts})}\n\n".encode()


def reset(detail: str) -> bytes:
    """Return the frame after which the reader discards its state."""
    return f"event: reset\ndata: {json.dumps({'detail': detail})}\n\n".encode()


def goodbye(reason: str, retry: int) -> bytes:
    """Return the frame that makes the reader reconnect after some milliseconds."""
    return f"event: goodbye\nretry: {retry}\ndata: {json.dumps({'reason': reason})}\n\n".encode()
