"""Tests of requests to servers that are slow, broken or hostile."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Sequence

import pytest
import trustme

from factstore.core.model.target import Target
from factstore.notify.deadline import Deadline, SendingEnded
from factstore.notify.responses import BODY_BYTES
from factstore.notify.web_client import (
    Answer,
    ConnectionLost,
    RequestFailed,
    WebClient,
    parse_proxy,
)
from tests.unit.notify.peers import OK, Peer, answering, peer

SOON = 0.2
"""Seconds after which requests to a server that never answers fail."""
LONG = 30.0
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


def client(
    *,
    addresses: Sequence[str] = ("127.0.0.1",),
    refused: Sequence[str] = (),
    context: ssl.SSLContext | None = None,
    proxy: tuple[str, int] | None = None,
) -> WebClient:
    return WebClient(
        lambda host, port, seconds: addresses,
        lambda address: "refused" if address in refused else None,
        context or ssl.create_default_context(),
        proxy,
    )


def target(port: int, scheme: str = "http", host: str = "paas.example") -> Target:
    return Target.parse(f"{scheme}://{host}:{port}/hook?x=1", allow_http=True)


def post(web: WebClient, to: Target, seconds: float = LONG, body: bytes = b"{}") -> Answer:
    """Send a request on a new connection, within a number of seconds from when there is one."""
    connection = web.connect(to, Deadline(LONG))
    try:
        return connection.post({"X-Test": "1"}, body, Deadline(seconds), reads_body=True)
    finally:
        connection.close()


def test_the_request_names_the_host_and_the_connection_goes_to_its_address() -> None:
    with peer(answering()) as server:
        assert post(client(), target(server.port)) == Answer(200, b"ok")
    head = server.requests[0].decode()
    assert head.startswith(f"POST /hook?x=1 HTTP/1.1\r\nHost: paas.example:{server.port}\r\n")
    assert head.endswith("X-Test: 1\r\n\r\n{}")


def test_a_connection_is_used_again_while_the_server_keeps_it() -> None:
    with peer(answering()) as server:
        deadline = Deadline(LONG)
        connection = client().connect(target(server.port), deadline)
        for _ in range(3):
            assert connection.post({}, b"x" * 100_000, deadline).status == 200
            assert connection.reusable
        connection.close()
    assert (server.connections, len(server.requests)) == (1, 3)


def test_an_interim_response_is_not_the_response_to_a_request() -> None:
    final = iter([OK, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"])

    def hints(server: Peer, connection: socket.socket) -> None:
        while server.read_request(connection):
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" + EARLY_HINTS)
            connection.sendall(next(final))

    with peer(hints) as server:
        deadline = Deadline(LONG)
        connection = client().connect(target(server.port), deadline)
        for status in 200, 500:
            assert connection.post({}, b"{}", deadline).status == status
        connection.close()


def test_a_redirect_is_not_followed() -> None:
    location = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with peer(answering(location)) as server:
        assert post(client(), target(server.port)).status == 302
    assert server.connections == 1


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"]])
def test_a_name_with_a_refused_address_is_not_connected_to(addresses: list[str]) -> None:
    with peer(answering()) as server:
        web = client(addresses=addresses, refused=["10.0.0.1"])
        with pytest.raises(RequestFailed, match="does not deliver"):
            post(web, target(server.port))
        assert server.connections == 0


def test_a_refused_address_is_refused_without_a_name() -> None:
    with pytest.raises(RequestFailed, match="does not deliver"):
        post(client(refused=["127.0.0.1"]), target(9999, host="127.0.0.1"))


def test_a_name_that_resolves_differently_later_is_not_resolved_again() -> None:
    found = iter([["127.0.0.1"], ["10.0.0.1"]])
    web = WebClient(
        lambda host, port, seconds: next(found), lambda address: None, ssl.create_default_context()
    )
    with peer(answering()) as server:
        assert post(web, target(server.port)).status == 200


def test_the_next_address_is_tried_if_the_first_refuses_connections() -> None:
    with peer(answering()) as server:
        web = client(addresses=["127.0.0.2", "127.0.0.1"])  # the server has only the second
        assert post(web, target(server.port)).status == 200


def hangs(server: Peer, connection: socket.socket) -> None:
    server.read_request(connection)
    server.ended.wait()


def drips_header(server: Peer, connection: socket.socket) -> None:
    server.drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 500)


def floods_header(server: Peer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    server.flood(connection, b"X-Long: " + b"x" * 1000 + b"\r\n")


def floods_interim_answers(server: Peer, connection: socket.socket) -> None:
    server.flood(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def floods_hints(server: Peer, connection: socket.socket) -> None:
    server.flood(connection, EARLY_HINTS)


def floods_line(server: Peer, connection: socket.socket) -> None:
    server.flood(connection, b"x" * 10_000)


def hangs_up(server: Peer, connection: socket.socket) -> None:
    server.read_request(connection)


def speaks_another_protocol(server: Peer, connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")
    server.ended.wait()


@pytest.mark.parametrize(
    ("serve", "seconds", "reason"),
    [
        (hangs, SOON, "did not answer in time"),
        (drips_header, SOON, "did not answer in time"),
        (floods_header, LONG, "is too long|is not HTTP"),
        (floods_interim_answers, LONG, "is too long"),
        (floods_hints, LONG, "is too long"),
        (floods_line, LONG, "is not HTTP"),
        (hangs_up, LONG, "was lost"),
        (speaks_another_protocol, LONG, "is not HTTP"),
    ],
)
def test_a_server_that_does_not_answer_properly_is_reported(
    serve: Callable[[Peer, socket.socket], object], seconds: float, reason: str
) -> None:
    with peer(serve) as server, pytest.raises(RequestFailed, match=reason):
        post(client(), target(server.port), seconds)


def test_a_server_that_does_not_read_the_request_is_reported() -> None:
    with (
        peer(lambda server, connection: server.ended.wait()) as server,
        pytest.raises(RequestFailed, match="did not answer in time"),
    ):
        post(client(), target(server.port), SOON, b"x" * 20_000_000)


def floods_body(server: Peer, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    server.flood(connection, b"x" * 65536)


def drips_body(server: Peer, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
    server.drip(connection, b"x" * 1000)


def floods_chunks(server: Peer, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.flood(connection, b"1\r\nx\r\n")


def sends_less_than_nothing(server: Peer, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx\r\n")


@pytest.mark.parametrize("serve", [floods_body, drips_body, floods_chunks, sends_less_than_nothing])
def test_the_status_counts_and_of_a_long_body_only_the_beginning_is_read(
    serve: Callable[[Peer, socket.socket], object],
) -> None:
    with peer(serve) as server:
        deadline = Deadline(LONG)
        connection = client().connect(target(server.port), deadline)
        answer = connection.post({}, b"{}", deadline)
        assert answer.status == 200
        assert len(answer.body) <= BODY_BYTES
        assert not connection.reusable
        connection.close()


def test_a_server_that_closed_an_idle_connection_is_recognized() -> None:
    def once(server: Peer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(OK)

    with peer(once) as server:
        deadline = Deadline(LONG)
        connection = client().connect(target(server.port), deadline)
        assert connection.post({}, b"{}", deadline).status == 200
        with pytest.raises(ConnectionLost):
            connection.post({}, b"{}", deadline)
        connection.close()


def test_a_request_ends_when_the_notifier_may_not_send_any_more() -> None:
    allowed = [math.inf]

    def hangs_and_ends(server: Peer, connection: socket.socket) -> None:
        server.read_request(connection)
        allowed[0] = -math.inf
        server.ended.wait()

    with peer(hangs_and_ends) as server:
        deadline = Deadline(LONG, lambda: allowed[0])
        connection = client().connect(target(server.port), deadline)
        with pytest.raises(SendingEnded):
            connection.post({}, b"{}", deadline)
        connection.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served_by(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_the_certificate_is_that_of_the_name_although_an_address_is_connected_to(
    authority: trustme.CA,
) -> None:
    names: list[str | None] = []
    context = served_by(authority, "paas.example")
    context.sni_callback = lambda connection, name, context: names.append(name)
    with peer(answering(), context) as server:
        web = client(context=trusting(authority))
        assert post(web, target(server.port, "https")) == Answer(200, b"ok")
    assert names == ["paas.example"]


def test_a_certificate_of_another_name_or_authority_is_refused(authority: trustme.CA) -> None:
    with peer(answering(), served_by(authority, "other.example")) as server:
        for web in client(context=trusting(authority)), client():
            with pytest.raises(RequestFailed, match="certificate is not valid"):
                post(web, target(server.port, "https"))
    assert not server.requests


@pytest.mark.parametrize("serve", [hangs, floods_line])
def test_a_handshake_that_does_not_end_is_reported(
    serve: Callable[[Peer, socket.socket], object],
) -> None:
    with peer(serve) as server, pytest.raises(RequestFailed, match=r"took too long|handshake"):
        client().connect(target(server.port, "https"), Deadline(SOON))


def test_a_handshake_in_single_bytes_ends_with_the_deadline(authority: trustme.CA) -> None:
    context = served_by(authority, "paas.example")

    def drips_handshake(server: Peer, connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        server.drip(connection, outgoing.read())

    with peer(drips_handshake) as server, pytest.raises(RequestFailed, match="took too long"):
        client(context=trusting(authority)).connect(target(server.port, "https"), Deadline(SOON))


def test_a_proxy_is_asked_for_the_address_that_was_checked() -> None:
    def proxies(server: Peer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        answering()(server, connection)

    with peer(proxies) as proxy:
        web = WebClient(
            lambda host, port, seconds: {"proxy": ["127.0.0.1"], "paas.example": ["192.0.2.1"]}[
                host
            ],
            lambda address: None,
            ssl.create_default_context(),
            parse_proxy(f"http://proxy:{proxy.port}"),
        )
        assert post(web, target(8080)) == Answer(200, b"ok")
    assert proxy.requests[0].startswith(b"CONNECT 192.0.2.1:8080 HTTP/1.1\r\n")
    assert b"Host: paas.example:8080" in proxy.requests[1]


def test_a_proxy_that_refuses_is_reported() -> None:
    with peer(answering(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        web = client(proxy=("proxy", proxy.port))
        with pytest.raises(RequestFailed, match="the proxy refused"):
            post(web, target(8080))
    with pytest.raises(ValueError, match="is not http"):
        parse_proxy("socks5://proxy:1080")
    with pytest.raises(ValueError, match="is not http"):
        parse_proxy("http://user:secret@proxy:3128")
