"""Heads are read and written as http.client does it."""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any
from unittest.mock import Mock

import pytest

from factstore.client.http.heads import Headers, RawResponse, encode_request

# In the first group, a head is read at once; the second one is left to http.client.
USUAL = {
    "a document": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "more behind it": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Not this one\r\n",
    "a header twice": b"HTTP/1.1 201 Created\r\nVary: a\r\nContent-Length: 0\r\nVary: b\r\n\r\n",
    "spaces": b"HTTP/1.1 404 Not  Found \r\ncontent-length:\t0\r\nX-A:b: c\t\r\nX-B:\r\n\r\n",
    "an empty reason": b"HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\nx",
    "Latin-1": b"HTTP/1.1 400 \xe4\r\nContent-Length: 1\r\nX-A: \xe9\r\n\r\nx",
    "it stays open": b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n\r\n",
}
UNUSUAL = {
    "no content": b"HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\nuntil the end",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "a length and a space": b"HTTP/1.1 200 OK\r\nContent-Length: 1 \r\n\r\nx",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
    "a length in other digits": b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nx",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "chunks and a length": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\nx\r\n0\r\n\r\n",
    "it is closed": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
    "another protocol": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "a folded header": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: b\r\n c\r\n\r\nx",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
    "no headers": b"HTTP/1.1 200 OK\r\n\r\nx",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "a large head": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: " + b"a" * 9000 + b"\r\n\r\nx",
    "an incomplete head": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n",
    "no HTTP": b"SSH-2.0-x\r\n",
    "nothing": b"",
}


class Socket:
    """A socket from which some bytes are read, at most a number of them at a time."""

    def __init__(self, data: bytes, at_once: int) -> None:
        self._data, self._at_once = io.BytesIO(data), at_once

    def makefile(self, mode: str) -> Any:
        raw = io.RawIOBase()
        raw.readable = lambda: True  # type: ignore[method-assign]
        raw.readinto = self._readinto  # type: ignore[attr-defined]
        return io.BufferedReader(raw)

    def _readinto(self, into: Any) -> int:
        data = self._data.read(min(len(into), self._at_once))
        into[: len(data)] = data
        return len(data)


def read(made: type[http.client.HTTPResponse], data: bytes, method: str, at_once: int) -> object:
    """Return all that a caller can know of a response."""
    sock: Any = Socket(data, at_once)
    response = made(sock, method=method)
    try:
        response.begin()
        headers = sorted(Headers(response.getheaders()).items())
        facts = (response.version, response.status, response.reason, response.will_close, headers)
        return facts, response.length, response.read(), response.isclosed()
    except http.client.HTTPException as error:
        return repr(error)


@pytest.mark.parametrize("at_once", [1 << 20, 7])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", [*USUAL, *UNUSUAL])
def test_a_response_is_read_as_by_the_library(name: str, method: str, at_once: int) -> None:
    data = {**USUAL, **UNUSUAL}[name]
    expected = read(http.client.HTTPResponse, data, method, at_once)
    assert read(RawResponse, data, method, at_once) == expected


@pytest.mark.parametrize("name", [*USUAL, *UNUSUAL])
def test_only_a_usual_head_is_read_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []
    monkeypatch.setattr(http.client.HTTPResponse, "begin", lambda self: left.append(name))
    sock: Any = Socket({**USUAL, **UNUSUAL}[name], 1 << 20)
    RawResponse(sock, method="GET").begin()
    assert left == ([] if name in USUAL else [name])


HEADERS = {
    "Host": "h:8796",
    "Accept-Encoding": "identity",
    "If-None-Match": '"x", *',
    "X-A": "\xe9\t b",
    "X-B": "",
    "x_c!": "a: b",
}


def lines(request: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Return the first line, the headers in order of their names, and the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return first, sorted(headers), body


@pytest.mark.parametrize("body", [None, b"", b"{}\r\n\r\n\xff"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"])
def test_a_request_is_written_as_by_the_library(method: str, body: bytes | None) -> None:
    sock = Mock(spec=socket.socket)
    connection = http.client.HTTPConnection("h", 8796)
    connection.sock = sock
    connection.request(method, "/v1/a%20b?c=d&e=*", body, HEADERS)
    sent = b"".join(call.args[0] for call in sock.sendall.call_args_list)
    made = encode_request(method, "/v1/a%20b?c=d&e=*", body, HEADERS)
    assert lines(made) == lines(sent)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        *(
            ("GET", {"X-A": f"a{text}"})
            for text in ("\r\nX-B: b", "\nX-B: b", "\r", "\r\n b", "\0")
        ),
        *(("GET", {name: "a"}) for name in ("", "X A", "X:", "X\r\nY", "\xe9", "X-A: b\r\nX-B")),
        *((method, {"X-A": "a"}) for method in ("", "get", "GET /b HTTP/1.1\r\nX:", "GET\n")),
        ("GET", {"X-A": "\u20ac"}),
    ],
)
def test_a_header_cannot_add_another_one(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"not allowed|codec can't encode"):
        encode_request(method, "/v1", None, headers)


@pytest.mark.parametrize(
    "target", ["", "/a b", "/a\r\nX: b", "/\xe9", "/a HTTP/1.1\r\nX: b\r\n\r\n"]
)
def test_a_target_with_characters_that_must_be_encoded_is_refused(target: str) -> None:
    with pytest.raises(http.client.InvalidURL):
        encode_request("GET", target, None, {"X-A": "a"})
