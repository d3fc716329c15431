"""Bodies in chunks, bodies that are too large, and clients that ask before they send one."""

from __future__ import annotations

import contextlib
import socket
from http import HTTPStatus

import pytest

from tests.cases import cases
from tests.raw_http import check_answer, connect, exchange, read_answer, request_bytes
from tests.service import ApiServer

MIB = 1024 * 1024


def test_a_body_in_chunks_is_a_body(server: ApiServer, stack: str) -> None:
    raw = request_bytes(
        "PUT", f"{stack}/facts/a", "Transfer-Encoding: chunked", "Content-Type: application/json"
    )
    answer = exchange(server.url, raw + b'8\r\n{"value"\r\n5\r\n: 42}\r\n0\r\n\r\n')
    assert answer.status == HTTPStatus.CREATED
    assert answer.json()["value"] == 42


@pytest.mark.parametrize("header", ["Content-Length: 0", "Content-Type: text/plain"])
def test_an_empty_text_is_announced(server: ApiServer, stack: str, header: str) -> None:
    answer = exchange(server.url, request_bytes("PUT", f"{stack}/facts/a", header))
    assert (answer.status, answer.json()["value"]) == (HTTPStatus.CREATED, "")


@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
def test_chunks_without_end_are_not_read_beyond_the_limit(
    server: ApiServer, stack: str, media_type: str
) -> None:
    raw = request_bytes(
        "PUT", f"{stack}/facts/a", "Transfer-Encoding: chunked", f"Content-Type: {media_type}"
    )
    chunk = b"10000\r\n" + b"1" * 0x10000 + b"\r\n"
    with connect(server.url) as connection:
        connection.sendall(raw)
        # An answer, or a closed connection, must come before what buffers on the way could hold.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(17):
                connection.sendall(chunk)
        check_answer(read_answer(connection), "413 too_large")


CHUNKED = "Transfer-Encoding: chunked"
TOO_LARGE = {
    "its length": (f"Content-Length: {2 * MIB}", b""),
    "a length that nothing has": (f"Content-Length: {10**30}", b""),
    "a chunk": (CHUNKED, b"%x\r\n" % (MIB + 1)),
    "a chunk that nothing has": (CHUNKED, b"%x\r\n" % 2**72),
    "chunks together": (CHUNKED, b"1\r\n1\r\n%x;last\r\n" % MIB),
    "extensions": (CHUNKED, b"1;%s\r\n1\r\n" % (b"x" * 1000) * 70),
}
"""Beginnings of bodies, of which the rest is not sent, that show that the body is too large."""


@pytest.mark.parametrize(
    ("method", "target", "media_type"),
    [
        ("PUT", "/facts/a", "application/json"),
        ("PUT", "/facts/a", "text/plain"),
        ("POST", "/batch", "application/json"),
        ("PUT", "/waiters/w/signal", "application/json"),
    ],
)
def test_a_body_is_refused_as_soon_as_it_is_known_to_be_too_large(
    server: ApiServer, stack: str, method: str, target: str, media_type: str
) -> None:
    with cases() as case:
        for name, (length, body) in TOO_LARGE.items():
            with case(name), connect(server.url) as connection:
                head = request_bytes(
                    method, f"{stack}{target}", f"Content-Type: {media_type}", length
                )
                connection.sendall(head + body)
                answer = read_answer(connection)
                check_answer(answer, "413 too_large")
                if length == CHUNKED:  # what follows is not a request
                    assert answer.headers["Connection"] == "close"
                    assert connection.recv(1) == b""


def test_a_body_that_no_route_reads_is_not_waited_for_if_it_is_too_large(
    server: ApiServer, stack: str
) -> None:
    with cases() as case:
        for name, (length, body) in TOO_LARGE.items():
            if (
                length != f"Content-Length: {2 * MIB}"
            ):  # is read, so that the connection can be kept
                with case(name), connect(server.url) as connection:
                    connection.sendall(request_bytes("GET", f"{stack}/nowhere", length) + body)
                    check_answer(read_answer(connection), "404 not_found")
                    assert connection.recv(1) == b""


@pytest.mark.parametrize("turn", range(5))
def test_a_client_that_sends_a_whole_refused_body_still_gets_the_answer(
    server: ApiServer, stack: str, turn: int
) -> None:
    # As proxies do that keep no connection: closed too early, it would be reset under their hands.
    raw = request_bytes(
        "PUT", f"{stack}/facts/a", "Connection: close", body=b" " * (4 * MIB + turn)
    )
    check_answer(exchange(server.url, raw), "413 too_large")


def test_a_client_that_never_sends_the_rest_loses_its_connection(
    server: ApiServer, stack: str
) -> None:
    raw = request_bytes("PUT", f"{stack}/facts/a", "Connection: close", "Content-Length: 3000000")
    with connect(server.url) as connection:
        connection.sendall(raw + b"the beginning")
        check_answer(read_answer(connection), "413 too_large")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""  # within the time limit of this test's connection


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ASKS = ("Expect: 100-continue", "Content-Type: application/json")
UNWANTED = {
    "a body that is too large": ("PUT", "/facts/a", f"Content-Length: {2 * MIB}", "413 too_large"),
    "a place that does not exist": ("PUT", "/nowhere", "Content-Length: 5", "404 not_found"),
    "a method that is not allowed": (
        "DELETE",
        "/facts",
        "Content-Length: 5",
        "405 method_not_allowed",
    ),
    "a path that is invalid": ("PUT", "/facts/%00", "Content-Length: 5", "400 path_invalid"),
}


@pytest.mark.parametrize(("method", "path", "length", "expected"), UNWANTED.values(), ids=UNWANTED)
def test_a_client_that_asks_first_does_not_send_a_body_that_is_refused(
    server: ApiServer, stack: str, method: str, path: str, length: str, expected: str
) -> None:
    with connect(server.url) as connection:
        connection.sendall(request_bytes(method, f"{stack}{path}", *ASKS, length))
        assert connection.recv(len(CONTINUE), socket.MSG_PEEK)[9:12] == expected[:3].encode()
        answer = read_answer(connection)
        check_answer(answer, expected)
        assert answer.headers["Connection"] == "close"
        connection.sendall(b"12345")  # it may do so all the same
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_asks_first_sends_the_body_when_it_is_read_and_keeps_its_connection(
    server: ApiServer, stack: str, chunked: bool
) -> None:
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 14"
    body = b'{"value": "x"}'
    raw = request_bytes("PUT", f"{stack}/facts/a", *ASKS, length)
    with connect(server.url) as connection:
        for status in (HTTPStatus.CREATED, HTTPStatus.OK):
            connection.sendall(raw)
            assert connection.recv(len(CONTINUE), socket.MSG_WAITALL) == CONTINUE
            connection.sendall(b"e\r\n" + body + b"\r\n0\r\n\r\n" if chunked else body)
            assert connection.recv(12, socket.MSG_PEEK)[9:12] == str(status.value).encode()
            assert read_answer(connection).status == status
        connection.sendall(request_bytes("GET", f"{stack}/facts/a", ASKS[0]))
        assert connection.recv(12, socket.MSG_PEEK)[9:12] == b"200"
        assert read_answer(connection).json()["value"] == "x"
