"""Clients that hang up or stand still: they soon cost nothing, and others are not mistaken for them."""

from __future__ import annotations

import ctypes
import json
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.http import Caller, check_refusal, fresh_stack
from tests.raw_http import connect, read_answer, request_bytes
from tests.service import ApiServer, check_log
from tests.structure.application import Operation, documented, operations

READERS = 10
CLOSED = "factstore_closed_connections_total"
STREAM = "Accept: text/event-stream"
JSON = "Content-Type: application/json"
ATTACH_FILTER, RETURN = 26, 0x06
"""The option SO_ATTACH_FILTER of Linux, and the operation BPF_RET, whose argument is a length."""


@pytest.fixture(scope="module")
def server(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service with short limits, to which no other test is connected."""
    options = {"api": {"read_seconds": 1, "idle_write_seconds": 1}}
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api"), options=options) as service:
        yield service
        check_log(service)


@pytest.fixture
def stack(api: Caller) -> str:
    """The path of a stack with members that hold a turn or wait, and one of each other resource."""
    path = f"/v1/stacks/{fresh_stack()}"
    api.put(f"{path}/facts/a", 1)
    api.put(f"{path}/waiters/w", json={"success": {"signals": 2}}).raise_for_status()
    alarm = {"condition": {"facts": "missing", "present": True}}
    api.put(f"{path}/alarms/quiet", json=alarm).raise_for_status()
    api.put(f"{path}/configurations/member/app", json={"group": "g"}).raise_for_status()
    for member in ("holder", "member"):
        api.put(f"{path}/members/{member}", json={"group": "g", "ttl": 600}).raise_for_status()
        api.put(f"{path}/turns/queue/{member}", json={"max_parallel": 1}).raise_for_status()
    action = {"hook": "script", "member": "member", "timeout": 600}
    api.post(f"{path}/actions", json=action).raise_for_status()
    return path


def waiting_operations() -> list[Operation]:
    """Return the operations with a parameter to wait."""
    return sorted(
        (method, path)
        for method, path in operations()
        for each in documented()["paths"][path][method.lower()].get("parameters", [])
        if isinstance(each, dict) and each.get("name") == "wait"
    )


def request(api: Caller, operation: Operation, stack: str, wait: int) -> bytes:
    """Return a request that waits, because the client knows the current state."""
    method, template = operation
    names = {
        "path": "missing",
        "waiter": "w",
        "queue": "queue",
        "member": "member",
        "alarm": "quiet",
        "configuration": "app",
        "action": api.get(f"{stack}/actions").json()["actions"][0]["id"],
    }
    path = template.replace("/v1/stacks/{stack}", stack).format(**names)
    headers, body = [], b""
    if method == "PUT":
        headers, body = [JSON], json.dumps({"max_parallel": 1}).encode()
    elif tag := api.get(path).headers.get("ETag"):
        headers = [f"If-None-Match: {tag}"]
    return request_bytes(method, f"{path}?wait={wait}", *headers, body=body)


def changes(api: Caller, stack: str) -> str:
    """Return the URL of what will have changed in the context."""
    return f"{stack}/context?since={api.get(f'{stack}/context').headers['Factstore-Cursor']}"


def blocked_requests(api: Caller, stack: str) -> list[bytes]:
    """Return a request of each kind that waits, and streams."""
    return [
        *[request(api, operation, stack, 50) for operation in waiting_operations()],
        request_bytes("GET", f"{changes(api, stack)}&wait=50"),
        request_bytes("GET", f"{stack}/events", STREAM),
        request_bytes("GET", f"{stack}/events?settle=5000", STREAM),
        request_bytes("GET", f"{stack}/events?wait=50&settle=5000"),
    ]


def usage(api: Caller) -> tuple[int, int]:
    """Return the numbers of waiting requests and of streams."""
    used = api.get("/v1/limits").json()["usage"]
    return used["waiting_requests"], used["streams"]


def gauge(api: Caller, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_requests_of_every_route_end_when_their_clients_hang_up(api: Caller, stack: str) -> None:
    kinds = blocked_requests(api, stack)
    hung_up, opened = (
        gauge(api, f'{CLOSED}{{reason="hung_up"}}'),
        gauge(api, "factstore_connections"),
    )
    with ExitStack() as clients:
        for raw in kinds:
            clients.enter_context(connect(api.url)).sendall(raw)
        eventually(lambda: sum(usage(api)) == len(kinds))
    # It takes a moment, but a busy machine takes longer. Without notice it would be 15 to 50 seconds.
    eventually(lambda: usage(api) == (0, 0))
    eventually(lambda: gauge(api, "factstore_connections") <= opened)
    assert gauge(api, f'{CLOSED}{{reason="hung_up"}}') - hung_up == len(kinds)


def drop_what_arrives(client: socket.socket) -> None:
    """Let the kernel drop all packets for a connection, as if its machine had been switched off."""
    accept_nothing = ctypes.create_string_buffer(struct.pack("HBBI", RETURN, 0, 0, 0))
    client.setsockopt(
        socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(accept_nothing))
    )


def test_clients_that_vanish_are_noticed_and_others_receive_their_events(
    api: Caller, stack: str
) -> None:
    kinds = blocked_requests(api, stack)
    opened = gauge(api, "factstore_connections")
    with ExitStack() as clients:
        present = clients.enter_context(connect(api.url))
        present.sendall(request_bytes("GET", f"{stack}/events", STREAM))
        vanished = [clients.enter_context(connect(api.url)) for _ in kinds]
        for client, raw in zip(vanished, kinds, strict=True):
            client.sendall(raw)
        eventually(lambda: sum(usage(api)) == len(kinds) + 1)
        for client in vanished:
            drop_what_arrives(client)
        # Streams have something to send to them now; the requests that wait for others do not.
        tag = api.put(f"{stack}/facts/news", 1).json()["etag"].encode()
        received = b""
        while b"id: " + tag not in received:
            received += present.recv(65536)
        eventually(lambda: usage(api) == (0, 1))
        eventually(lambda: gauge(api, "factstore_connections") <= opened + 1)


def test_a_client_that_closed_its_sending_side_gets_its_response_on_every_route(
    api: Caller, stack: str
) -> None:
    with ExitStack() as clients:
        opened = []
        for operation in waiting_operations():
            client = clients.enter_context(connect(api.url))
            client.sendall(request(api, operation, stack, 2))
            client.shutdown(socket.SHUT_WR)
            opened.append((operation, client))
        client = clients.enter_context(connect(api.url))
        client.sendall(request_bytes("GET", f"{changes(api, stack)}&wait=2"))
        client.shutdown(socket.SHUT_WR)
        opened.append((("GET", "changes of the context"), client))
        stream = clients.enter_context(connect(api.url))
        stream.sendall(request_bytes("GET", f"{stack}/events", STREAM, version="HTTP/1.0"))
        stream.shutdown(socket.SHUT_WR)
        for operation, client in opened:
            answer = read_answer(client, operation[0])
            assert answer.status in (200, 304, 404), operation
            assert answer.headers["X-Openstack-Request-Id"], operation
        assert usage(api) == (0, 1)
        api.delete(stack)
        text = read_answer(stream).body.decode()
        assert text.startswith(": factstore\n\n")
        assert text.count("\ndata:") == 2  # the deletion and the goodbye


PUT = "/v1/stacks/s/facts/a"
STALLS = {
    "half a header": (b"GET /v1/limits HTTP/1.1\r\nHost: loc", 408),
    "half a body": (request_bytes("PUT", PUT, "Content-Length: 10") + b"hello", 408),
    "half a chunk": (request_bytes("PUT", PUT, "Transfer-Encoding: chunked") + b"5\r\nhel", 408),
    "a body after 100": (
        request_bytes("PUT", PUT, "Expect: 100-continue", "Content-Length: 10"),
        408,
    ),
    "half a batch": (
        request_bytes("POST", "/v1/stacks/s/batch", JSON, "Content-Length: 99") + b"{",
        408,
    ),
    "half a body that is refused": (
        request_bytes("PUT", "/v1/stacks/s/nowhere", "Content-Length: 10") + b"hello",
        404,
    ),
}


def test_requests_that_do_not_arrive_are_answered_and_their_connections_closed(
    api: Caller,
) -> None:
    stalled = gauge(api, f'{CLOSED}{{reason="read_timeout"}}')
    with ExitStack() as clients:
        opened = {}
        for name, (sent, _) in STALLS.items():
            opened[name] = clients.enter_context(connect(api.url))
            opened[name].sendall(sent)
        for name, client in opened.items():
            answer = read_answer(client)
            assert answer.status == STALLS[name][1], name
            if answer.status == HTTPStatus.REQUEST_TIMEOUT:
                check_refusal(408, answer.headers, answer.json(), "408 request_timeout")
                assert answer.headers["Connection"] == "close"
            assert client.recv(1) == b"", name
    assert gauge(api, f'{CLOSED}{{reason="read_timeout"}}') == stalled + len(STALLS)


def resident(server: ApiServer) -> float:
    """Return the memory of the worker, in MB."""
    (worker,) = server.workers()
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    assert found
    return int(found[1]) / 1024


def test_responses_that_are_not_read_end_and_cost_little_memory(
    server: ApiServer, api: Caller, stack: str
) -> None:
    for part in range(4):
        puts = [{"put": {"path": f"{part}/{n}", "value": "x" * 60_000}} for n in range(16)]
        api.post(f"{stack}/batch", json={"operations": puts}).raise_for_status()
    api.put(f"{stack}/members/m", json={"group": "g"}).raise_for_status()
    paths = {"facts?limit=1000": "Accept: */*", "context": "Accept: */*"}
    paths |= {"context?member=m&view=peers": "Accept: */*", "events?initial=true": STREAM}
    closed = f'{CLOSED}{{reason="write_timeout"}}'
    before, memory, most = gauge(api, closed), resident(server), 0.0
    with ExitStack() as clients:
        for path, accept in paths.items():
            for _ in range(READERS):
                client = clients.enter_context(connect(api.url))
                client.sendall(request_bytes("GET", f"{stack}/{path}", accept))

        def ended() -> bool:
            nonlocal most
            most = max(most, resident(server) - memory)
            return gauge(api, closed) == before + READERS * len(paths)

        eventually(ended)
        assert usage(api) == (0, 0)
    # Each response has about 4 MB. Those that were rendered are kept in memory, once.
    assert most < 40


def test_a_connection_that_carried_a_stream_is_kept_as_long_as_any_other(
    api: Caller, stack: str
) -> None:
    with connect(api.url) as kept:
        kept.sendall(request_bytes("GET", f"{stack}/events", STREAM))
        assert kept.recv(1, socket.MSG_PEEK)  # the stream has begun
        api.delete(stack)
        assert b"event: goodbye" in read_answer(kept).body
        api.put(f"{stack}/facts/a", 1)
        api.get(f"{stack}/facts/missing?wait=2")  # the times for reads and writes are long over
        kept.sendall(request_bytes("GET", f"{stack}/facts/a"))
        assert read_answer(kept).status == HTTPStatus.OK
