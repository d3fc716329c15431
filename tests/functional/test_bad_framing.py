"""Framing and headers that are wrong or come twice: the service neither breaks nor is fooled."""

from __future__ import annotations

import contextlib
import socket
from http import HTTPStatus

import pytest

from factstore.wsgi.server.header_checks import SINGLE
from tests.cases import cases
from tests.http import Caller
from tests.raw_http import check_answer, connect, exchange, read_answer, request_bytes
from tests.service import ApiServer

JSON = "Content-Type: application/json"


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
        check_answer(answer, "400 http_invalid")
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
        check_answer(answer, code)
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
        check_answer(answer, expected)
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
        check_answer(read_answer(connection), "400 path_invalid")
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
        check_answer(answer, "400 invalid")
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
                    check_answer(answer, f"400 {expected}")
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
        check_answer(read_answer(connection), "400 http_invalid")


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
        check_answer(answer, "400 http_invalid")
        assert b"canary" not in answer.body
    log = server.log_path.read_text()
    assert "Refused a malformed request" in log
    assert "canary" not in log
