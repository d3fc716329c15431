"""The fast path with a worker in memory, and requests to it."""

from __future__ import annotations

import threading
from dataclasses import replace
from unittest.mock import Mock

from factstore.api.identity import Identity
from factstore.core.services.rate_limit import RateLimiter
from factstore.policies import facts as fact_rules
from factstore.policies import members as member_rules
from factstore.policies import stacks as stack_rules
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.fast_path import FastPath, Response
from factstore.wsgi.fast_path.http_request import Reader, Request
from factstore.wsgi.fast_path.stream_answer import StreamStart
from factstore.wsgi.scheduler import Scheduler, ThreadScheduler
from tests.contract.world import PROJECT, Worker
from tests.raw_http import request_bytes

FACT = "/v1/stacks/s/facts/a/b"
JSON = "Content-Type: application/json"


def read(raw: bytes) -> Request:
    """Return the request that some bytes are."""
    found = Reader(("contextualization 1.0",)).read(raw)
    assert isinstance(found, Request), raw
    return found


def fast_path(
    worker: Worker,
    identity: Identity | None,
    denied: str = "",
    scheduler: Scheduler | None = None,
    limiter: RateLimiter | None = None,
    metrics: Mock | None = None,
) -> FastPath:
    """Return the fast path for one caller, whom policy allows all but one rule."""
    services = worker.services
    return FastPath(
        worker.store,
        worker.hub,
        SystemClock(),
        replace(services, rate_limiter=limiter) if limiter else services,
        lambda rule, identity, project_id: rule != denied,
        lambda headers, local: identity,
        scheduler or ThreadScheduler(),
        metrics or Mock(),
        5.0,
    )


OWNER = Identity("alice", PROJECT, ("member",))


def answer(path: FastPath, raw: bytes) -> bytes | None:
    """Return the response to a read of a fact, or None if it is left to the view."""
    found: list[bytes | None] = []
    ended = threading.Event()

    def respond(response: Response) -> None:
        assert not callable(response)
        assert not isinstance(response, StreamStart)
        found.append(response)
        ended.set()

    if not path.start(read(raw), respond, local=True):
        return None
    assert ended.wait(60)
    return found[0]


def status(response: Response) -> int:
    """Return the status of a response, which a greenlet may have to make."""
    data = b"".join(response() or ()) if callable(response) else response
    assert data is not None
    return int(data.split()[1])


SERVED = {
    "put": (request_bytes("PUT", FACT, JSON, body=b'{"value":1}'), fact_rules.PUT),
    "batch": (
        request_bytes(
            "POST",
            "/v1/stacks/s/batch",
            JSON,
            body=b'{"operations":[{"put":{"path":"a","value":1}}]}',
        ),
        fact_rules.BATCH,
    ),
    "heartbeat": (
        request_bytes("POST", "/v1/stacks/s/members/m/heartbeat"),
        member_rules.HEARTBEAT,
    ),
    "context": (request_bytes("GET", "/v1/stacks/s/context"), stack_rules.CONTEXT),
}


def stream_start(path: FastPath, query: str = "", *headers: str, stack: str = "s") -> Response:
    """Return the beginning of a stream in the loop, or None if it needs a greenlet."""
    found: list[Response] = []
    ended = threading.Event()

    def respond(response: Response) -> None:
        found.append(response)
        ended.set()

    target = f"/v1/stacks/{stack}/events{query}"
    raw = request_bytes("GET", target, "Accept: text/event-stream", *headers)
    if not path.start(read(raw), respond, local=True, begins_streams=True):
        return None
    assert ended.wait(60)
    return found[0]


def started(path: FastPath, raw: bytes) -> list[Response] | None:
    """Start a request in the loop, and return the list of its responses; None if it cannot start."""
    found: list[Response] = []
    return found if path.start(read(raw), found.append, local=True) else None


def running(path: FastPath, raw: bytes) -> list[Response]:
    """Start a request in the loop, and return the list of its responses."""
    found = started(path, raw)
    assert found == []
    return found


def put(value: int, path: str = FACT) -> bytes:
    return request_bytes("PUT", path, JSON, body=b'{"value":%d}' % value)
