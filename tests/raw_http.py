"""Handwritten HTTP, for requests that no well-behaved client would send."""

from __future__ import annotations

import http.client
import io
import json
import socket
from dataclasses import dataclass
from email.message import Message
from typing import Any, cast
from urllib.parse import urlsplit

from tests.http import check_refusal

PATIENCE = 60.0  # seconds until an answer counts as missing


@dataclass
class Answer:
    """A response; ``status`` is 0 if the server closed the connection without one."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Pipeline:
    """A connection for :func:`read_answer` on which several responses can arrive at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._buffer = _Buffer(connection.makefile("rb", buffering=0))

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._buffer


class _Buffer(io.BufferedReader):
    """The buffer of a connection; the end of a response does not close it."""

    def close(self) -> None:
        pass


def connect(url: str) -> socket.socket:
    """Return a connection to the server of ``url``."""
    where = urlsplit(url)
    assert where.hostname
    return socket.create_connection((where.hostname, where.port or 80), PATIENCE)


def request_bytes(
    method: str, target: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1"
) -> bytes:
    """Return a request with Host, and with Content-Length unless ``headers`` state the length."""
    lines = [f"{method} {target} {version}", "Host: localhost", *headers]
    named = {header.partition(":")[0].lower() for header in headers}
    if body and not named & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read_answer(connection: socket.socket | Pipeline, method: str = "GET") -> Answer:
    """Read the next response on a connection."""
    response = http.client.HTTPResponse(cast("socket.socket", connection), method=method)
    try:
        response.begin()
        return Answer(response.status, response.msg, response.read())
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return Answer(0, Message(), b"")
    finally:
        response.close()


def exchange(url: str, raw: bytes, method: str = "GET") -> Answer:
    """Send bytes on a new connection, and return one response."""
    with connect(url) as connection:
        connection.sendall(raw)
        return read_answer(connection, method)


def check_answer(answer: Answer, expected: str) -> None:
    """Check that a response is a refusal.

    :param expected: status and code, as in ``404 not_found``.
    """
    check_refusal(answer.status, answer.headers, answer.json(), expected)
