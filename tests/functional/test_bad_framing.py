"""Bodies and headers that end early, never, or twice: the service neither breaks nor is fooled."""

from __future__ import annotations

import contextlib
import socket
from http import HTTPStatus

import pytest

from factstore.wsgi.server.header_checks import SINGLE
from tests.cases import cases
from tests.http import Caller, check_refusal
from tests.raw_http import Answer, connect, exchange, read_answer, request_bytes
from tests.service import ApiServer

MIB = 1024 * 1024
JSON = "Content-Type: application/json"


def check(answer: Answer, expected: str) -> None:
    check_refusal(answer.status, answer.headers, answer.json(), expected)


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
        check(read_answer(connection), "413 too_large")


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
                check(answer, "413 too_large")
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
                    check(read_answer(connection), "404 not_found")
                    assert connection.recv(1) == b""


@pytest.mark.parametrize("turn", range(5))
def test_a_client_that_sends_a_whole_refused_body_still_gets_the_answer(
    server: ApiServer, stack: str, turn: int
) -> None:
    # As proxies do that keep no connection: closed too early, it would be reset under their hands.
    raw = request_bytes(
        "PUT", f"{stack}/facts/a", "Connection: close", body=b" " * (4 * MIB + turn)
    )
    check(exchange(server.url, raw), "413 too_large")


def test_a_client_that_never_sends_the_rest_loses_its_connection(
    server: ApiServer, stack: str
) -> None:
    raw = request_bytes("PUT", f"{stack}/facts/a", "Connection: close", "Content-Length: 3000000")
    with connect(server.url) as connection:
        connection.sendall(raw + b"the beginning")
        check(read_answer(connection), "413 too_large")
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
        check(answer, expected)
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


FRAMINGS = {
    "a header folded over lines": (("X-Folded: a\r\n b",), {0, 200, 400}),
    "a space before the colon": (("X-Odd : 1",), {0, 200, 400}),
    "NUL in a header": (("X-Odd: a\0b",), {0, 200, 400}),
    "a bare newline in a header": (("X-Odd: a\nX-More: b",), {0, 200, 400}),
    "an underscore in a name": (("X_Odd: 1",), {0, 200, 400}),
    "two hosts": (("Host: other",), {200, 400}),
    "an expectation": (("Expect: 100-continue",), {200}),
    "an upgrade": (
        (
            "Upgrade: h2c",
            "Connection: Upgrade, HTTP2-Settings",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        {200},
    ),
}


NAMED = {
    "Host": ("Host: other",),
    "Content-Type": ("Content-Type: text/plain", "Content-Type: application/json"),
    "Content-Length": ("Content-Length: three",),
    "Transfer-Encoding": ("Transfer-Encoding: gzip",),
    "Expect": ("Expect: miracles",),
}


def test_a_header_that_makes_a_request_malformed_is_named(server: ApiServer) -> None:
    for name, headers in NAMED.items():
        answer = exchange(server.url, request_bytes("GET", "/v1/stacks?limit=1", *headers))
        assert answer.status == HTTPStatus.BAD_REQUEST
        detail = answer.json()["errors"][0]["detail"]
        assert detail.startswith(f"Header {name} "), detail


@pytest.mark.parametrize(("headers", "statuses"), FRAMINGS.values(), ids=FRAMINGS.keys())
def test_odd_framing_is_answered_or_closed_and_never_breaks_the_service(
    server: ApiServer, headers: tuple[str, ...], statuses: set[int]
) -> None:
    answer = exchange(server.url, request_bytes("GET", "/v1/stacks?limit=1", *headers))
    assert answer.status in statuses
    if answer.status >= HTTPStatus.BAD_REQUEST:
        check(answer, "400 http_invalid")
    assert exchange(server.url, request_bytes("GET", "/")).status == HTTPStatus.OK


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / FTP/1.0\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_bytes_that_are_not_http_are_refused(server: ApiServer, raw: bytes) -> None:
    with connect(server.url) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
    if answer.status != 0:
        code = "414 url_too_long" if len(raw) > 8190 else "400 http_invalid"
        check(answer, code)
    assert exchange(server.url, request_bytes("GET", "/")).status == HTTPStatus.OK


HOSTS = {
    "no host": (b"GET /v1/stacks HTTP/1.1\r\n\r\n", "400 http_invalid"),
    "no host for a health check": (b"GET /healthcheck HTTP/1.1\r\n\r\n", "400 http_invalid"),
    "an empty host": (b"GET /v1/stacks HTTP/1.1\r\nHost:\r\n\r\n", "400 http_invalid"),
    "another host in the target": (
        b"GET http://evil.example/v1/stacks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "400 http_invalid",
    ),
    "a user in the target": (
        b"GET http://localhost@evil.example/v1/stacks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "400 http_invalid",
    ),
    "the same host in the target": (
        b"GET http://localhost/v1/stacks HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "",
    ),
    "HTTP/1.0, as load balancers send it": (b"GET /healthcheck HTTP/1.0\r\n\r\n", ""),
}


@pytest.mark.parametrize(("raw", "expected"), HOSTS.values(), ids=HOSTS)
def test_a_request_names_one_host_also_behind_one_on_the_fast_path(
    server: ApiServer, api: Caller, stack: str, raw: bytes, expected: str
) -> None:
    api.put(f"{stack}/facts/a", 1).raise_for_status()
    with connect(server.url) as connection:
        connection.sendall(request_bytes("GET", f"{stack}/facts/a"))
        assert read_answer(connection).status == HTTPStatus.OK
        connection.sendall(raw)
        answer = read_answer(connection)
    if expected:
        check(answer, expected)
    else:
        assert answer.status == HTTPStatus.OK


def test_a_smuggled_request_is_not_carried_out(server: ApiServer, api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", "mine")
    inner = request_bytes("DELETE", f"{stack}/facts/a")
    outer = request_bytes(
        "POST", f"{stack}/batch", f"Content-Length: {len(inner) + 5}", "Transfer-Encoding: chunked"
    )
    with connect(server.url) as connection:
        connection.sendall(outer + b"0\r\n\r\n" + inner)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert api.get(f"{stack}/facts/a").json()["value"] == "mine"


def test_a_refused_body_does_not_become_the_next_request(
    server: ApiServer, api: Caller, stack: str
) -> None:
    """An answer that comes before the body was read must not leave the body to be read as HTTP."""
    api.put(f"{stack}/facts/a", "mine")
    hidden = request_bytes("DELETE", f"{stack}/facts/a")
    raw = request_bytes("PUT", f"{stack}/facts/..", "Content-Type: text/plain", body=hidden)
    with connect(server.url) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        check(read_answer(connection), "400 path_invalid")
        while connection.recv(65536):
            pass
    assert api.get(f"{stack}/facts/a").json()["value"] == "mine"


ENDLESS = {
    "a size that is none": b"zz\r\n",
    "a negative size": b"-2\r\nhi\r\n0\r\n\r\n",
    "a size behind a space": b" 2\r\nhi\r\n0\r\n\r\n",
    "a size before a space": b"2 \r\nhi\r\n0\r\n\r\n",
    "a bare newline behind the size": b"2\nhi\r\n0\r\n\r\n",
    "a bare newline in an extension": b"2;a=\nb\r\nhi\r\n0\r\n\r\n",
    "a bare newline behind a chunk": b"2\r\nhi\n0\r\n\r\n",
    "a chunk without its end": b"2\r\nhi0\r\n\r\n",
    "a chunk longer than its size": b"2\r\nhiXX\r\n0\r\n\r\n",
    "a trailer that is none": b"2\r\nhi\r\n0\r\nnonsense\r\n\r\n",
    "trailers without end": b"2\r\nhi\r\n0\r\nX-Trailer: %s" % (b"x" * 10_000),
    "an extension without end": b"2;x=%s" % (b"x" * 2_000),
}
"""Bodies whose end nobody knows."""


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_nothing_is_carried_out_behind_a_body_whose_end_is_unknown(
    server: ApiServer, api: Caller, stack: str, body: bytes
) -> None:
    api.put(f"{stack}/facts/a", "mine").raise_for_status()
    chunked = ("Content-Type: text/plain", "Transfer-Encoding: chunked")
    with connect(server.url) as connection:
        connection.sendall(request_bytes("PUT", f"{stack}/facts/a", *chunked) + body)
        answer = read_answer(connection)
        check(answer, "400 invalid")
        assert answer.headers["Connection"] == "close"
        with contextlib.suppress(ConnectionError):
            connection.sendall(request_bytes("DELETE", f"{stack}/facts/a"))
            assert connection.recv(1) == b""
    assert api.get(f"{stack}/facts/a").json()["value"] == "mine"


@pytest.mark.parametrize(
    "options",
    [
        ("Connection: close",),
        ("Connection: TE, close", "TE: trailers"),
        ("Connection: keep-alive,Close",),
        ("Connection: TE", "TE: trailers", "Connection:\tclose"),
    ],
)
@pytest.mark.parametrize("target", ["/facts/a", "/facts", "/events?wait=0", "/nothing"])
def test_a_connection_ends_where_one_of_its_options_is_to_close(
    server: ApiServer, api: Caller, stack: str, options: tuple[str, ...], target: str
) -> None:
    api.put(f"{stack}/facts/a", "mine").raise_for_status()
    with connect(server.url) as connection:
        connection.sendall(request_bytes("GET", f"{stack}{target}", *options))
        assert read_answer(connection).headers["Connection"] == "close"
        assert connection.recv(1) == b""


def test_a_header_with_one_value_is_refused_if_it_comes_twice(
    server: ApiServer, api: Caller, stack: str
) -> None:
    api.put(f"{stack}/facts/a", "mine").raise_for_status()
    refused_by_the_parser = {"Content-Length", "Content-Type", "Host"}
    requests = (
        ("PUT", "/facts/a", JSON, b'{"value": "intruder"}'),
        ("GET", "/facts/a", "Accept: */*", b""),
        ("POST", "/batch", JSON, b'{"operations": [{"delete": {"path": "a"}}]}'),
        ("GET", "/events?wait=0", "Accept: */*", b""),
    )
    names = (*SINGLE.values(), "Factstore-Generation", "Factstore-Cause", "Factstore-Console")
    with cases() as case:
        for name in names:
            for number, (method, target, header, body) in enumerate(requests):
                with case(f"{name} of {method} {target}"), connect(server.url) as connection:
                    second = "1" if number else "2"  # the same value is not better than another one
                    twice = (header, f"{name}: 1", f"{name}: {second}")
                    if name == "Host":
                        twice = (header, "Host: other")
                    raw = request_bytes(method, f"{stack}{target}", *twice, body=body)
                    connection.sendall(request_bytes("GET", f"{stack}/facts/a"))
                    assert read_answer(connection).status == HTTPStatus.OK
                    connection.sendall(raw)
                    expected = "http_invalid" if name in refused_by_the_parser else "ambiguous"
                    answer = read_answer(connection)
                    check(answer, f"400 {expected}")
                    assert answer.headers["Connection"] == "close"
                    if expected == "ambiguous":
                        assert name in answer.json()["detail"]
    assert api.get(f"{stack}/facts/a").json()["version"] == 1


def test_a_header_with_a_list_may_come_in_parts(server: ApiServer, api: Caller, stack: str) -> None:
    tag = api.put(f"{stack}/facts/a", "mine").headers["ETag"]
    versions = (
        "OpenStack-API-Version: compute 2.1",
        "OpenStack-API-Version: contextualization 1.0",
    )
    for method, header, expected in (
        ("GET", "If-None-Match", HTTPStatus.NOT_MODIFIED),
        ("PUT", "If-Match", HTTPStatus.OK),
    ):
        tags = (f'{header}: "0123456789abcdef.1"', f"{header}: {tag}")
        body = b'{"value": "yours"}' if method == "PUT" else b""
        raw = request_bytes(method, f"{stack}/facts/a", JSON, *versions, *tags, body=body)
        assert exchange(server.url, raw).status == expected


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.2", "HTTP/1.9"])
def test_a_request_of_a_later_version_is_answered_with_the_version_of_the_service(
    server: ApiServer, api: Caller, stack: str, version: str
) -> None:
    api.put(f"{stack}/facts/a", "mine").raise_for_status()
    with connect(server.url) as connection:
        for target in ("/facts/a", "/facts", "/events?wait=0", "/nothing", "/facts/a"):
            connection.sendall(request_bytes("GET", f"{stack}{target}", version=version))
            assert connection.recv(9, socket.MSG_PEEK) == b"HTTP/1.1 "
            assert "Content-Length" in read_answer(connection).headers
        connection.sendall(f"GET {stack}/facts {version}\r\n\r\n".encode())  # without Host
        check(read_answer(connection), "400 http_invalid")


def test_a_request_id_that_a_caller_sends_cannot_break_a_header(
    server: ApiServer, api: Caller
) -> None:
    answer = exchange(
        server.url,
        request_bytes("GET", "/v1/stacks?limit=1", "X-Openstack-Request-Id: req-x\tSet: 1"),
    )
    assert answer.status == HTTPStatus.OK
    assert "Set" not in answer.headers
    assert len(answer.headers.get_all("X-Openstack-Request-Id")) == 1


def test_a_secret_in_a_malformed_header_is_neither_shown_nor_logged(server: ApiServer) -> None:
    for header in ("X-Auth-Token canary-1234", "X-Auth-Token : canary-1234", "canary-1234"):
        answer = exchange(server.url, request_bytes("GET", "/v1/stacks", header, "X-Odd: a\0b"))
        check(answer, "400 http_invalid")
        assert b"canary" not in answer.body
    log = server.log_path.read_text()
    assert "Refused a malformed request" in log
    assert "canary" not in log
