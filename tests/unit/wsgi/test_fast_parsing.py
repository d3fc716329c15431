"""Which requests the fast path reads, and whose they are."""

from __future__ import annotations

import pytest

from factstore.api.identity import Identity
from factstore.core.model.grant import GrantRequest
from factstore.wsgi.fast_path.callers import (
    TOKEN_SECONDS,
    GrantHolders,
    LocalCallers,
    TokenCallers,
    ValidTokens,
)
from factstore.wsgi.fast_path.http_request import (
    HEAD_BYTES,
    PARTIAL,
    PARTIAL_BYTES,
    Reader,
    Request,
)
from factstore.wsgi.fast_path.request_headers import BODY_BYTES, Headers
from tests.contract.world import Worker, author, new_scope
from tests.raw_http import request_bytes
from tests.unit.core.factories import ManualClock
from tests.unit.wsgi.fast_requests import FACT, JSON, read


def test_a_request_is_read_and_what_follows_it_is_left() -> None:
    raw = request_bytes("PUT", FACT, JSON, "Factstore-Generation: 1f", body=b"{}")
    found = read(raw + b"GET ")
    assert (found.method, found.target, found.stack, found.path) == ("PUT", FACT, "s", "a/b")
    assert (found.headers.host, found.headers.local, found.headers.json) == (
        "localhost",
        True,
        True,
    )
    assert (found.headers.generation, found.body, found.data) == ("1f", b"{}", raw)


def test_reads_that_clients_repeat_are_parsed_once() -> None:
    reader, known = Reader(()), 'If-None-Match: "0123456789abcdef.7"'
    context, events = "/v1/stacks/s/context", "/v1/stacks/s/events"
    stream = "Accept: text/event-stream"
    for raw, once in (
        (request_bytes("GET", FACT), True),
        (request_bytes("GET", context, known), True),
        (request_bytes("GET", f"{context}?since=0123456789abcdef.7"), False),
        (request_bytes("GET", events, stream), True),
        (request_bytes("GET", events, stream, "Last-Event-ID: 0123456789abcdef.7"), False),
        (request_bytes("PUT", FACT, JSON, body=b"{}"), False),
    ):
        assert (reader.read(raw) is reader.read(raw)) is once, raw
        assert reader.read(raw) == Reader(()).read(raw)


def test_the_rest_of_a_large_body_is_left_to_gunicorn() -> None:
    raw = request_bytes("PUT", FACT, JSON, body=b" " * PARTIAL_BYTES)
    assert Reader(()).read(raw[:-1]) is None
    assert isinstance(Reader(()).read(raw), Request)


@pytest.mark.parametrize("size", [b"{", b"{}" + b" " * 100])
def test_a_request_is_incomplete_until_its_last_byte(size: bytes) -> None:
    reader, raw = Reader(()), request_bytes("PUT", FACT, JSON, body=size)
    line = raw.index(b"\r\n") + 2
    assert all(reader.read(raw[:at]) is PARTIAL for at in range(line, len(raw)))
    assert isinstance(reader.read(raw), Request)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        *((host, True) for host in ("a", "a-b.c3:65535", "10.0.0.1:8778", "[::1]", "[fe80::1]:1")),
        *(
            (host, False)
            for host in (".", "a.", "a..b", "-a", "a-", "A", "a_b", "xn--a", "b.xn--a")
        ),
        *(
            (host, False)
            for host in ("a" * 64, "a.b" * 85, "a:0", "a:80", "a:65536", "[1:2]", "[]")
        ),
    ],
)
def test_only_plain_names_and_addresses_are_known_hosts(host: str, plain: bool) -> None:
    raw = request_bytes("GET", FACT).replace(b"localhost", host.encode())
    assert isinstance(Reader(()).read(raw), Request) == plain


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(request_bytes("GET", FACT, version="HTTP/1.0"), id="version"),
        pytest.param(request_bytes("GET", f"{FACT}?format=raw"), id="query"),
        pytest.param(request_bytes("GET", "/v1/stacks/s/facts/%61"), id="encoded"),
        pytest.param(request_bytes("GET", f"http://localhost{FACT}"), id="absolute"),
        pytest.param(request_bytes("GET", "/v1/stacks/s/batch"), id="method of a batch"),
        pytest.param(request_bytes("POST", FACT), id="method of a fact"),
        pytest.param(request_bytes("GET", FACT, "Content-Length: 3"), id="body of a read"),
        pytest.param(request_bytes("DELETE", FACT), id="delete"),
        pytest.param(request_bytes("HEAD", FACT), id="head"),
        pytest.param(request_bytes("GET", FACT, "X-Unknown: 1"), id="unknown header"),
        pytest.param(request_bytes("GET", FACT, "Accept: */*", "accept: */*"), id="twice"),
        pytest.param(request_bytes("GET", FACT, "Accept : */*"), id="space before the colon"),
        pytest.param(request_bytes("GET", FACT, "Accept: */*", " x"), id="folded"),
        pytest.param(request_bytes("GET", FACT, "User-Agent: \x7f"), id="control character"),
        pytest.param(request_bytes("GET", FACT, "User-Agent: é"), id="not ASCII"),
        pytest.param(request_bytes("GET", FACT, "Connection: close"), id="close"),
        pytest.param(request_bytes("GET", FACT, "Connection: upgrade"), id="upgrade"),
        pytest.param(request_bytes("PUT", FACT, "Transfer-Encoding: chunked"), id="chunked"),
        pytest.param(request_bytes("PUT", FACT, JSON, "Content-Length: +1"), id="length"),
        pytest.param(request_bytes("PUT", FACT, JSON, "Content-Length: 1, 1"), id="lengths"),
        pytest.param(
            request_bytes("PUT", FACT, JSON, f"Content-Length: {BODY_BYTES + 1}"), id="size"
        ),
        pytest.param(request_bytes("PUT", FACT, f"{JSON}; charset=latin-1"), id="charset"),
        pytest.param(request_bytes("PUT", FACT, "If-Match: *"), id="precondition"),
        pytest.param(request_bytes("GET", FACT, "X-Auth-Token: a, b"), id="two tokens"),
        pytest.param(request_bytes("GET", FACT, "X-Forwarded-Proto: ftp"), id="scheme"),
        pytest.param(request_bytes("GET", FACT, "OpenStack-API-Version: x 1.0"), id="API version"),
        pytest.param(request_bytes("GET", FACT).replace(b"localhost", b"a b"), id="host"),
        pytest.param(request_bytes("GET", FACT).replace(b"localhost", b"x:80"), id="default port"),
        pytest.param(request_bytes("GET", FACT).replace(b"Host: localhost\r\n", b""), id="no host"),
        pytest.param(request_bytes("GET", FACT).replace(b"\r\n", b"\n"), id="line ends"),
        pytest.param(b"GET " + FACT.encode() + b" HTTP/1.1\r\nA: " + b"a" * HEAD_BYTES, id="large"),
    ],
)
def test_a_request_that_is_not_known_completely_is_left_to_gunicorn(raw: bytes) -> None:
    assert Reader(("contextualization 1.0",)).read(raw) is None


# Callers


def test_without_authentication_only_callers_on_this_machine_are_known() -> None:
    identity, holder = Identity("u", "p", ()), Identity("g", "p", ())
    callers = LocalCallers(identity, lambda headers: holder)
    here = Headers(host="localhost", local=True)
    assert callers(here, local=True) is identity
    assert callers(here, local=False) is None
    assert callers(Headers(host="example.org"), local=True) is None
    assert callers(Headers(local=True, forwarded=True), local=True) is None
    assert callers(Headers(local=True, authorization="Bearer x.y"), local=True) is holder


def test_a_token_is_known_for_some_seconds_after_its_validation() -> None:
    clock, identity = ManualClock(), Identity("u", "p", ())
    tokens = ValidTokens(clock)
    callers = TokenCallers(tokens, lambda headers: None)
    assert callers(Headers(token="t"), local=False) is None
    tokens.add("t", identity, 300)
    assert callers(Headers(token="t"), local=False) is identity
    assert callers(Headers(token="T"), local=False) is None
    assert callers(Headers(), local=True) is None
    assert callers(Headers(token="t", authorization="Bearer x.y"), local=False) is None
    clock.advance(TOKEN_SECONDS)
    assert callers(Headers(token="t"), local=False) is None
    tokens.add("t", identity, 1)
    clock.advance(1)
    assert callers(Headers(token="t"), local=False) is None
    tokens.add("t", identity, 300)
    tokens.discard("t")
    assert callers(Headers(token="t"), local=False) is None


def test_a_grant_is_known_while_the_state_is_fresh(worker: Worker) -> None:
    scope = new_scope()
    issued = worker.grants.issue(scope, GrantRequest("agent", "m1", None, None), author())
    holders = GrantHolders(worker.grants)
    header = Headers(authorization=f"Bearer {issued.grant.id}.{issued.secret}")
    assert holders(header) is None, "the state has not been compared with the store yet"
    assert worker.grants.authenticate(issued.grant.id, issued.secret) is not None
    identity = holders(header)
    assert identity is not None
    assert (identity.stack, identity.permissions.member) == (scope.stack, "m1")
    assert holders(header) is identity
    assert holders(Headers(authorization=f"Bearer {issued.grant.id}.wrong")) is None
    assert holders(Headers(authorization="Bearer nobody.x")) is None
    worker.grants.revoke(scope, issued.grant.id, author())
    assert holders(header) is None
