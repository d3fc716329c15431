"""The fast path answers as the framework does: two services get the same requests."""

from __future__ import annotations

import itertools
import json
import random
import re
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.functional.fast_path_requests import (
    JSON,
    POLLS,
    REFUSED_STREAMS,
    REQUESTS,
    STREAMS,
    F,
    fact,
)
from tests.functional.test_metrics import scrape, value
from tests.http import Caller
from tests.raw_http import Answer, Pipeline, connect, exchange, read_answer, request_bytes
from tests.service import ApiServer, check_log

_MASKS = (
    (r"req-[0-9a-f-]{36}", "REQUEST"),
    (r'(?<=\.)[0-9a-f]{16}(?=")', "DIGEST"),  # of a plan, which contains a cursor
    (r"[0-9a-f]{16}\.\d+", "CURSOR"),
    (r'"revision":\d+', "REVISION"),
    (r'"revision": \d+', "REVISION"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    (r"\b[0-9a-f]{32}\b", "DIGEST"),
    (r"(?<=Field ')\w+|(?<=\"field\": \")\w+", "FIELD"),  # of several unknown ones, any is named
    (r'"generation":"[0-9a-f]+"', "GENERATION"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
)


@dataclass
class Pair:
    """A service with the fast path, and one without and with gRPC only; their answers are the same."""

    fast: ApiServer
    plain: ApiServer

    def send(self, raw: bytes, method: str) -> tuple[str, str]:
        """Return what both answer, without what differs between any two services."""
        return visible(exchange(self.fast.url, raw, method)), visible(
            exchange(self.plain.url, raw, method)
        )

    def taken(self) -> float:
        """Return how many requests the fast path has answered."""
        with Caller(self.fast.url) as api:
            return value(scrape(api), "fast_path_requests_total")


@pytest.fixture(scope="module")
def pair(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    state = tmp_path_factory.mktemp("pair")
    fast = ApiServer(
        [etcd.endpoint],
        state / "fast",
        options={"etcd": {"root": "/fast"}, "api": {"read_seconds": 3, "idle_seconds": 4}},
    )
    plain = ApiServer(
        [etcd.endpoint],
        state / "plain",
        options={
            "etcd": {"root": "/plain", "fast_calls": "false"},
            "api": {"fast_path": "false"},
        },
    )
    with fast, plain:
        yield Pair(fast, plain)
        check_log(fast)
        check_log(plain)


def visible(answer: Answer) -> str:
    """Return an answer with its headers in order of their names, without what always differs."""
    headers = sorted(
        f"{name}: {text}"
        for name, text in answer.headers.items()
        if name not in ("Date", "Content-Length")
    )
    text = "\n".join([str(answer.status), *headers, "", answer.body.decode()])
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return text


def read_one(answers: BinaryIO) -> tuple[int, bytes]:
    """Return status and body of the next of several responses on a connection."""
    status, length = int(answers.readline().split()[1]), 0
    while (line := answers.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, answers.read(length)


def test_both_ways_give_the_same_answer(pair: Pair) -> None:
    for method, target, headers, body, fast in REQUESTS:
        before = pair.taken()
        raw = request_bytes(method, target, *headers, body=body)
        found, expected = pair.send(raw, method)
        assert found == expected, raw
        assert pair.taken() - before == fast, raw


def untimed(stream: str) -> str:
    """Return a stream without the frames that depend on the time that the test takes."""
    frames = re.sub(r"retry: \d+", "", stream).split("\n\n")
    return "\n\n".join(
        frame
        for before, frame in itertools.pairwise(["", *frames])
        if frame != ": ping" and ("event: bookmark" not in frame or "event: snapshot" in before)
    )


def test_both_ways_give_the_same_streams(pair: Pair) -> None:
    servers = (pair.fast, pair.plain)
    fact_at = "/v1/stacks/watched/facts"
    first = request_bytes("PUT", f"{fact_at}/a", JSON, body=fact(1))
    pair.send(first, "PUT")
    before = pair.taken()
    with ExitStack() as stack:
        opened = []
        for target, headers, _ in STREAMS:
            clients = [stack.enter_context(connect(server.url)) for server in servers]
            for client in clients:
                client.sendall(request_bytes("GET", target, *headers))
                assert client.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/"
            opened.append((target, clients))
        assert pair.taken() - before == sum(fast for _, _, fast in STREAMS)
        for raw in (
            request_bytes("PUT", f"{fact_at}/a", JSON, body=fact(2)),
            request_bytes("PUT", f"{fact_at}/b", JSON, body=fact("x" * 65_000)),
            request_bytes("PUT", "/v1/stacks/watched/members/m1", JSON, body=b'{"group":"g"}'),
            request_bytes("DELETE", f"{fact_at}/a"),
        ):
            for server in servers:
                exchange(server.url, raw, raw.split(b" ")[0].decode())
        # The connections can be used again. They are closed soon if they are not.
        for _, clients in opened:
            for client in clients:
                client.sendall(request_bytes("GET", f"{fact_at}/a"))
        for server in servers:
            exchange(server.url, request_bytes("DELETE", "/v1/stacks/watched"), "DELETE")
        for target, clients in opened:
            answers = [Pipeline(client) for client in clients]
            found, expected = [untimed(visible(read_answer(each))) for each in answers]
            assert found == expected, target
            assert "stack.delete" in found
            assert "goodbye" in found
            assert [read_answer(each).status for each in answers] == [404, 404]


def test_both_ways_refuse_the_same_streams(pair: Pair) -> None:
    pair.send(request_bytes("PUT", "/v1/stacks/watched", JSON, body=b"{}"), "PUT")
    before = pair.taken()
    for target, headers in REFUSED_STREAMS:
        found, expected = pair.send(request_bytes("GET", target, *headers), "GET")
        assert found == expected, target
    assert pair.taken() == before


def test_both_ways_give_the_same_polls(pair: Pair) -> None:
    stack, servers = "/v1/stacks/polled", (pair.fast, pair.plain)
    pair.send(request_bytes("PUT", f"{stack}/facts/a", JSON, body=fact(1)), "PUT")
    since = [exchange(s.url, request_bytes("GET", f"{stack}/context")) for s in servers]
    cursors = [answer.headers["Factstore-Cursor"] for answer in since]
    for path, new in (("a", 2), ("b", "x" * 65_000), ("c", 1)):
        raw = request_bytes("PUT", f"{stack}/facts/{path}", JSON, body=fact(new))
        pair.send(raw, "PUT")
    for query, headers, fast in POLLS:
        before = pair.taken()
        found, expected = [
            visible(exchange(server.url, request_bytes("GET", target, *headers)))
            for server, cursor in zip(servers, cursors, strict=True)
            for target in [f"{stack}/events?since={cursor}{query}"]
        ]
        assert found == expected, query
        assert pair.taken() - before == fast, query
    for target in (f"{stack}/events", f"{stack}/events?wait=1", "/v1/stacks/none/events?wait=50"):
        found, expected = pair.send(request_bytes("GET", target), "GET")
        assert found == expected, target


def test_requests_at_random_give_the_same_answer_however_they_arrive(pair: Pair) -> None:
    drawn = random.Random(7)
    headers = sorted(
        {header for request in REQUESTS for header in request[2]} - {"Expect: 100-continue"}
    )
    targets = sorted({request[1] for request in REQUESTS})
    bodies = sorted({request[3] for request in REQUESTS if len(request[3]) < 1000})
    before = pair.taken()
    for _ in range(120):
        method = drawn.choice(["GET", "PUT", "PUT", "POST"])
        chosen = drawn.sample(headers, drawn.choice([0, 1, 1, 2]))
        body = drawn.choice(bodies) if method != "GET" else b""
        if body and JSON not in chosen and drawn.random() < 0.8:
            chosen.append(JSON)
        raw = request_bytes(method, drawn.choice(targets), *chosen, body=body)
        at = drawn.randrange(len(raw))
        answers = []
        for server in (pair.fast, pair.plain):
            with connect(server.url) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(raw[:at])
                connection.sendall(raw[at:])
                answers.append(visible(read_answer(connection, method)))
        assert answers[0] == answers[1], raw
    assert pair.taken() > before


def test_a_connection_serves_both_kinds_of_requests_in_order(pair: Pair) -> None:
    kinds = {
        "read": request_bytes("GET", "/v1/stacks/mixed/facts/a", JSON),
        "write": request_bytes("PUT", "/v1/stacks/mixed/facts/a", JSON, body=fact("w")),
        "list": request_bytes("GET", "/v1/stacks/mixed/facts"),
        "missing": request_bytes("GET", "/v1/stacks/mixed/facts/b"),
    }
    exchange(pair.fast.url, kinds["write"], "PUT")
    first = {name: exchange(pair.fast.url, raw).status for name, raw in kinds.items()}
    assert first == {"read": 200, "write": 200, "list": 200, "missing": 404}
    drawn = random.Random(3)
    order = [drawn.choice(list(kinds)) for _ in range(60)]
    raw = b"".join(kinds[name] for name in order)
    with connect(pair.fast.url) as connection:
        at = 0
        while at < len(raw):
            end = at + drawn.randrange(1, 2000)
            connection.sendall(raw[at:end])
            at = end
        answers = connection.makefile("rb")
        for name in order:
            status, body = read_one(answers)
            assert status == first[name]
            assert (b'"facts"' in body) == (name == "list")


@pytest.mark.parametrize(
    "part",
    [
        b"GET /v1/stacks/s1/facts/a HTTP/1.1\r\nHost: localhost\r\n",
        request_bytes("PUT", "/v1/stacks/s1/facts/a", JSON, body=b'{"value":1}')[:-10],
    ],
    ids=["header", "body"],
)
def test_a_request_that_does_not_go_on_is_late(pair: Pair, part: bytes) -> None:
    answer = exchange(pair.fast.url, part)
    assert answer.status == 408
    assert answer.json()["errors"][0]["code"] == "contextualization.request_timeout"


def test_a_request_that_arrives_byte_by_byte_is_late(pair: Pair) -> None:
    with connect(pair.fast.url) as connection:
        for byte in request_bytes("GET", f"{F}/a", f"User-Agent: {'x' * 100}"):
            if select.select([connection], [], [], 0.2)[0]:
                break
            connection.send(bytes([byte]))
        assert read_answer(connection).status == 408


def test_a_connection_whose_client_sends_no_more_is_closed_after_the_response(pair: Pair) -> None:
    get, put = request_bytes("GET", f"{F}/a"), request_bytes("PUT", f"{F}/a", JSON, body=fact(1))
    exchange(pair.fast.url, put, "PUT")
    for raw, status in ((get, b"200"), (put, b"200"), (put[:-1], b"400"), (get[:-1], b"")):
        for server in (pair.fast, pair.plain):
            with connect(server.url) as connection:
                connection.sendall(raw)
                connection.shutdown(socket.SHUT_WR)
                assert connection.makefile("rb").read()[9:12] == status


def test_what_looks_like_a_request_inside_of_another_is_none(pair: Pair) -> None:
    inner = request_bytes("PUT", f"{F}/smuggled", JSON, body=fact(1))
    part = b"GET /v1/stacks/s1/facts HTTP/1.1\r\nHost: localhost\r\nX-A: "
    for server in (pair.fast, pair.plain):
        with connect(server.url) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request_bytes("GET", F) + part)
            assert read_answer(connection).status == 200
            connection.sendall(inner)
            assert read_answer(connection).status == 400
        assert exchange(server.url, request_bytes("GET", f"{F}/smuggled")).status == 404


def test_requests_that_are_sent_together_are_all_answered(pair: Pair) -> None:
    number = 1000  # more than the server reads at once
    exchange(pair.fast.url, request_bytes("PUT", f"{F}/many", JSON, body=fact(1)), "PUT")
    with connect(pair.fast.url) as connection:
        connection.sendall(request_bytes("GET", f"{F}/many", f"User-Agent: {'x' * 50}") * number)
        answers = connection.makefile("rb")
        assert {read_one(answers)[0] for _ in range(number)} == {200}


def test_a_connection_without_requests_is_closed(pair: Pair) -> None:
    with connect(pair.fast.url) as connection:
        connection.sendall(request_bytes("PUT", f"{F}/idle", JSON, body=fact(1)))
        assert read_answer(connection, "PUT").status == 201
        assert connection.recv(1) == b""


def test_a_response_that_is_read_slowly_arrives_whole(pair: Pair) -> None:
    text = "x" * 60_000
    exchange(pair.fast.url, request_bytes("PUT", f"{F}/large", JSON, body=fact(text)), "PUT")
    read = request_bytes("GET", f"{F}/large")
    where = urlsplit(pair.fast.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect((where.hostname, where.port))
        connection.sendall(read * 40)
        answers = connection.makefile("rb")
        for _ in range(40):
            status, body = read_one(answers)
            assert status == 200
            assert json.loads(body)["value"] == text
