"""Which requests the fast path takes, and what it leaves to the views."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from unittest.mock import Mock, patch

import pytest

from factstore.api.identity import Identity
from factstore.core.errors import (
    CursorExpired,
    FactstoreError,
    OutcomeUnknown,
    Throttled,
    Unavailable,
)
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.grant import GrantRequest
from factstore.core.model.member import JoinRequest
from factstore.core.model.permissions import Permissions
from factstore.core.model.precondition import ANY
from factstore.core.model.transaction import Transaction
from factstore.core.operations.planner import Planner
from factstore.core.ports import CommitEnded
from factstore.core.services.rate_limit import MAX_DELAY_SECONDS, Allowance, RateLimiter
from factstore.core.state.state import State
from factstore.policies import facts as fact_rules
from factstore.policies import members as member_rules
from factstore.policies import stacks as stack_rules
from factstore.store.started_refresh import FOREIGN_SECONDS, LAG_SECONDS
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.callers import (
    TOKEN_SECONDS,
    GrantHolders,
    LocalCallers,
    TokenCallers,
    ValidTokens,
)
from factstore.wsgi.fast_path.fact_read import FactRead
from factstore.wsgi.fast_path.fast_path import FastPath, Response
from factstore.wsgi.fast_path.http_request import (
    HEAD_BYTES,
    PARTIAL,
    PARTIAL_BYTES,
    Reader,
    Request,
)
from factstore.wsgi.fast_path.request_headers import BODY_BYTES, Headers
from factstore.wsgi.fast_path.stream_answer import StreamStart
from factstore.wsgi.fast_path.writes import Writes
from factstore.wsgi.scheduler import Scheduler, ThreadScheduler
from tests.contract.world import PROJECT, MemoryWorld, Worker, author, new_scope
from tests.raw_http import request_bytes
from tests.unit.core.factories import ManualClock

FACT = "/v1/stacks/s/facts/a/b"
JSON = "Content-Type: application/json"


def read(raw: bytes) -> Request:
    """Return the request that some bytes are."""
    found = Reader(("contextualization 1.0",)).read(raw)
    assert isinstance(found, Request), raw
    return found


# Parsing


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


# Operations


@pytest.fixture
def worker() -> Iterator[Worker]:
    world = MemoryWorld()
    yield world.worker()
    world.close()


def fast_path(
    worker: Worker,
    identity: Identity | None,
    denied: str = "",
    scheduler: Scheduler | None = None,
) -> FastPath:
    """Return the fast path for one caller, whom policy allows all but one rule."""
    return FastPath(
        worker.store,
        worker.hub,
        SystemClock(),
        worker.services,
        lambda rule, identity, project_id: rule != denied,
        lambda headers, local: identity,
        scheduler or ThreadScheduler(),
        Mock(),
        5.0,
    )


OWNER = Identity("alice", PROJECT, ("member",))
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


@pytest.mark.parametrize("name", SERVED)
def test_a_request_that_policy_or_the_grant_does_not_allow_is_left_to_its_view(
    worker: Worker, name: str
) -> None:
    raw, rule = SERVED[name]
    before = worker.store.state().revision
    elsewhere = Identity("g", PROJECT, (), stack="other", permissions=Permissions("agent", "m"))
    for path in (
        fast_path(worker, OWNER, denied=rule),
        fast_path(worker, elsewhere),
        fast_path(worker, None),
    ):
        assert path.serve(read(raw), local=True) is None
    assert worker.store.state().revision == before


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
    assert ended.wait(10)
    return found[0]


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
    assert ended.wait(10)
    return found[0]


def test_a_stream_without_events_to_deliver_begins_in_the_loop(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, epoch = fast_path(worker, OWNER), worker.store.epoch
    path.serve(read(SERVED["put"][0]), local=True)
    now = Cursor(epoch, worker.store.state().revision)
    before = Cursor(epoch, now.revision - 1)
    for found in (
        stream_start(path),
        stream_start(path, f"?since={now}"),
        stream_start(path, f"?since={before}", f"Last-Event-ID: {now}"),
    ):
        assert isinstance(found, StreamStart)
        assert found.cursor == now
        assert found.head.startswith(b"HTTP/1.1 200 OK\r\n")
        found.watcher.release()
    left = [
        *("?initial=true", f"?since={before}", f"?since={epoch}.{now.revision + 1}", "?since=junk"),
        *(
            f"?since={'0' * 16}.{now.revision}",
            "?types=junk",
            "?prefix=..",
            "?settle=1&max_settle=0",
        ),
    ]
    assert [query for query in left if stream_start(path, query) is not None] == []
    assert stream_start(path, stack="another") is None
    assert stream_start(fast_path(worker, OWNER, denied=stack_rules.EVENTS)) is None
    full = Mock(side_effect=Throttled("there are too many"))
    monkeypatch.setattr(worker.services.rate_limiter, "stream", full)
    assert stream_start(path) is None


def test_a_read_that_policy_or_the_grant_does_not_allow_is_left_to_its_view(worker: Worker) -> None:
    fast_path(worker, OWNER).serve(read(SERVED["put"][0]), local=True)
    agent = Permissions("agent", "m")
    secret = request_bytes("GET", "/v1/stacks/s/facts/configs/other/a")
    raw = request_bytes("GET", FACT)
    assert b"200 OK" in (answer(fast_path(worker, OWNER), raw) or b"")
    holder = Identity("g", PROJECT, (), stack="s", permissions=agent)
    assert b"200 OK" in (answer(fast_path(worker, holder), raw) or b"")
    assert answer(fast_path(worker, OWNER, denied=fact_rules.GET), raw) is None
    assert answer(fast_path(worker, None), raw) is None
    assert answer(fast_path(worker, Identity("g", PROJECT, (), stack="other")), raw) is None
    assert answer(fast_path(worker, holder), secret) is None
    assert answer(fast_path(worker, Identity("u", "another project", ())), raw) is None
    stale, secret = (
        request_bytes("GET", f"{path}?consistency=stale")
        for path in (FACT, "/v1/stacks/s/facts/configs/other/a")
    )
    assert b"200 OK" in (answer(fast_path(worker, holder), stale) or b"")
    assert answer(fast_path(worker, OWNER, denied=fact_rules.GET), stale) is None
    assert answer(fast_path(worker, holder), secret) is None


def test_a_read_that_may_be_old_does_not_read_the_store(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fast_path(worker, OWNER)
    path.serve(read(SERVED["put"][0]), local=True)
    monkeypatch.setattr(worker.store, "join_head_read", Mock(side_effect=Unavailable("away")))
    assert answer(path, request_bytes("GET", FACT)) is None
    stale = answer(path, request_bytes("GET", f"{FACT}?consistency=stale"))
    assert stale is not None
    assert b'"value":1' in stale


def test_a_failure_after_the_write_may_have_been_made_is_answered(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fast_path(worker, OWNER)
    monkeypatch.setattr(worker.store, "commit", Mock(side_effect=ZeroDivisionError))
    response = b"".join(path.serve(read(SERVED["put"][0]), local=True) or ())
    assert response.startswith(b"HTTP/1.1 500 ")
    assert b"ZeroDivision" not in response


def test_a_read_that_fails_is_answered(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fast_path(worker, OWNER)
    path.serve(read(SERVED["put"][0]), local=True)
    failing = Mock(observe=Mock(side_effect=OSError("disk full")))
    monkeypatch.setattr(path.reads, "_metrics", failing)
    response = answer(path, request_bytes("GET", FACT))
    assert response is not None
    assert response.startswith(b"HTTP/1.1 500 ")
    assert b"disk full" not in response


def test_a_request_is_left_to_its_view_until_the_store_has_been_read(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Mock(side_effect=Unavailable("not yet"))
    monkeypatch.setattr(worker.store, "state", away)
    assert answer(fast_path(worker, OWNER), request_bytes("GET", FACT)) is None
    path = FastPath(
        worker.store,
        worker.hub,
        SystemClock(),
        worker.services,
        Mock(),
        away,
        ThreadScheduler(),
        Mock(),
        timeout=5.0,
    )
    assert answer(path, request_bytes("GET", FACT)) is None
    assert path.serve(read(SERVED["put"][0]), local=True) is None


def test_bodies_are_counted_and_charged_without_their_headers(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, metrics, charged = fast_path(worker, OWNER), Mock(), Mock()
    monkeypatch.setattr(path, "_metrics", metrics)
    monkeypatch.setattr(path.reads, "_metrics", metrics)
    monkeypatch.setattr(worker.services.rate_limiter, "answered", charged)
    for response in (
        b"".join(path.serve(read(SERVED["put"][0]), local=True) or ()),
        answer(path, request_bytes("GET", FACT)),
    ):
        assert response is not None
        length = len(response.partition(b"\r\n\r\n")[2])
        assert metrics.observe.call_args.args[3] == length
        assert charged.call_args.args == (PROJECT, length)


def test_a_request_that_the_fast_path_does_not_answer_is_not_charged(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, limiter = fast_path(worker, OWNER), Mock(request=Mock(return_value=0.0))
    monkeypatch.setattr(path, "_services", Mock(rate_limiter=limiter))
    assert path.serve(read(request_bytes("PUT", FACT, JSON, body=b"[]")), local=True) is None
    charge = limiter.request.call_args
    assert limiter.cancel.call_args == charge
    monkeypatch.setattr(path, "_scheduler", Mock(age=Mock(return_value=MAX_DELAY_SECONDS + 1)))
    assert path.serve(read(SERVED["put"][0]), local=True) is None, "the queue is too long"
    limiter.request.assert_called_once()


def test_a_request_above_the_rate_is_delayed_and_one_far_above_it_is_left_to_the_throttle(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, clock = Mock(age=Mock(return_value=0.0)), ManualClock()
    path = fast_path(worker, OWNER, scheduler=scheduler)
    allowed = Allowance(requests_per_second=1, burst=1)
    limiter = RateLimiter(lambda project_id: allowed, clock, blocking=1)
    monkeypatch.setattr(path, "_services", replace(worker.services, rate_limiter=limiter))
    written = worker.services.transactor.running
    waiting = list[float]()

    def sleep(seconds: float) -> None:
        waiting.append(seconds)
        assert limiter.open_in("delayed_requests") == 1
        assert written.oldest(Scope(PROJECT, "s")) < math.inf, "the stack is not quiet meanwhile"
        assert path.serve(read(put(1)), local=True) is None, "only one can be delayed"

    scheduler.sleep.side_effect = sleep
    codes = [status(b"".join(path.serve(read(put(value)), local=True) or ())) for value in range(7)]
    assert (codes, waiting) == ([201, *[200] * 6], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert path.serve(read(put(9)), local=True) is None
    clock.advance(60)
    assert path.serve(read(put(9)), local=True) is not None, "a refusal costs nothing"
    scheduler.sleep.side_effect = ClientGone
    assert path.serve(read(put(10)), local=True) is not None
    with pytest.raises(ClientGone):
        path.serve(read(put(11)), local=True)
    assert limiter.open_in("delayed_requests") == 0
    assert written.oldest(Scope(PROJECT, "s")) == math.inf


def test_a_read_above_the_rate_is_answered_by_the_greenlet_as_in_the_loop(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, raw = fast_path(worker, OWNER), request_bytes("GET", FACT)
    assert path.serve(read(put(1)), local=True) is not None
    in_loop = answer(path, raw)
    monkeypatch.setattr(worker.services.rate_limiter, "request_at_once", lambda *a, **b: False)
    assert answer(path, raw) is None
    same = b"".join(path.serve(read(raw), local=True) or ())
    without_id = re.compile(rb"(?i)(date|x-openstack-request-id): [^\r]*")
    assert without_id.sub(b"", same) == without_id.sub(b"", in_loop or b"")
    missing = path.serve(read(request_bytes("GET", f"{FACT}/c")), local=True)
    assert status(b"".join(missing or ())) == 404
    state = worker.store.state()
    fact = replace(state.fact(Scope(PROJECT, "s"), "a/b"), sealed="x", text="null")
    monkeypatch.setattr(state, "fact", Mock(return_value=fact))
    assert path.serve(read(raw), local=True) is None, "its view decides who may see it"


# Writes that are started in the loop


class Loop:
    """A store whose commits and renewals were started, and end when the test ends them."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = worker.store
        self.commits: list[tuple[Transaction, CommitEnded]] = []
        self.renewals: list[Callable[[bool | None], object]] = []
        self.refreshes: list[Callable[[State | None], object]] = []
        self.handle = Mock()
        monkeypatch.setattr(worker.store, "start_commit", self._start_commit)
        monkeypatch.setattr(worker.store, "start_renewal", self._start_renewal)
        monkeypatch.setattr(worker.store, "start_refresh", self._start_refresh)

    def _start_refresh(self, timeout: float, ended: Callable[[State | None], object]) -> Mock:
        self.refreshes.append(ended)
        return self.handle

    def _start_commit(self, commit: Transaction, deadline: float, ended: CommitEnded) -> Mock:
        self.commits.append((commit, ended))
        return self.handle

    def _start_renewal(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        self.renewals.append(ended)
        return True

    def refresh(self) -> None:
        """Read the state for the first request that changes nothing, and end it."""
        self.refreshes.pop(0)(self.store.refresh(time.monotonic() + 5))

    def write(self) -> None:
        """Carry the first commit out, and end it."""
        commit, ended = self.commits.pop(0)
        ended(self.store.commit(commit, time.monotonic() + 5), None)


@pytest.fixture
def loop(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(worker, monkeypatch)


def started(path: FastPath, raw: bytes) -> list[Response] | None:
    """Start a request in the loop, and return the list of its responses; None if it cannot start."""
    found: list[Response] = []
    return found if path.start(read(raw), found.append, local=True) else None


def running(path: FastPath, raw: bytes) -> list[Response]:
    """Start a request in the loop, and return the list of its responses."""
    found = started(path, raw)
    assert found == []
    return found


def status(response: Response) -> int:
    """Return the status of a response, which a greenlet may have to make."""
    data = b"".join(response() or ()) if callable(response) else response
    assert data is not None
    return int(data.split()[1])


def put(value: int, path: str = FACT) -> bytes:
    return request_bytes("PUT", path, JSON, body=b'{"value":%d}' % value)


def test_a_put_ends_in_the_loop_once_it_is_written(worker: Worker, loop: Loop) -> None:
    path = fast_path(worker, OWNER)
    for value, expected in ((1, 201), (2, 200)):
        found = running(path, put(value))
        loop.write()
        assert isinstance(found[0], bytes)
        assert status(found[0]) == expected
    assert worker.store.state().fact(Scope(PROJECT, "s"), "a/b").version == 2  # type: ignore[union-attr]


def test_a_put_that_changes_nothing_ends_once_the_state_is_fresh(
    worker: Worker, loop: Loop
) -> None:
    path = fast_path(worker, OWNER)
    path.serve(read(put(1)), local=True)
    found = running(path, put(1))
    loop.refresh()
    assert isinstance(found[0], bytes)
    assert b"Factstore-Unchanged: true" in found[0]
    assert worker.store.state().fact(Scope(PROJECT, "s"), "a/b").version == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("change", ["changes", "is deleted", "fails", "breaks"])
def test_a_put_that_may_change_something_after_all_is_planned_again_by_the_greenlet(
    worker: Worker, loop: Loop, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fast_path(worker, OWNER)
    path.serve(read(put(1)), local=True)
    found = running(path, put(1))
    if change == "changes":
        path.serve(read(put(2)), local=True)
    elif change == "is deleted":
        worker.services.stacks.delete(Scope(PROJECT, "s"), author(), ANY)
    if change == "fails":
        loop.refreshes.pop(0)(None)
    elif change == "breaks":
        with monkeypatch.context() as patched:
            patched.setattr(Planner, "plan", Mock(side_effect=RuntimeError))
            loop.refresh()
    else:
        loop.refresh()
    expected = {"changes": 200, "is deleted": 201, "fails": 200, "breaks": 200}[change]
    assert status(found[0]) == expected


def test_a_batch_ends_in_the_loop_once_it_is_written(worker: Worker, loop: Loop) -> None:
    path = fast_path(worker, OWNER)
    path.serve(read(put(1)), local=True)
    body = b'{"operations":[{"put":{"path":"a/b","value":1}},{"put":{"path":"c","value":%d}}]}'
    for value, outcome in ((1, b"created"), (2, b"updated"), (2, b"unchanged")):
        found = running(path, request_bytes("POST", "/v1/stacks/s/batch", JSON, body=body % value))
        (loop.refresh if outcome == b"unchanged" else loop.write)()
        (response,) = found
        assert isinstance(response, bytes)
        results = json.loads(response.partition(b"\r\n\r\n")[2])["results"]
        assert [result["outcome"].encode() for result in results] == [b"unchanged", outcome]


def test_a_put_whose_guards_fail_is_planned_again_by_the_greenlet(
    worker: Worker, loop: Loop
) -> None:
    path = fast_path(worker, OWNER)
    assert status(b"".join(path.serve(read(put(1)), local=True) or ())) == 201
    found = running(path, put(2))
    loop.commits.pop()[1](None, None)
    (response,) = found
    assert callable(response)
    assert status(response) == 200
    assert worker.store.state().fact(Scope(PROJECT, "s"), "a/b").text == "2"  # type: ignore[union-attr]


@pytest.mark.parametrize("written", [True, False])
def test_a_put_of_unknown_outcome_is_settled_by_the_greenlet(
    worker: Worker, loop: Loop, written: bool
) -> None:
    path = fast_path(worker, OWNER)
    found = running(path, put(1))
    commit, ended = loop.commits.pop()
    if written:
        worker.store.commit(commit, time.monotonic() + 5)
    ended(None, OutcomeUnknown("lost"))
    (response,) = found
    assert status(response) == 201
    assert worker.store.state().fact(Scope(PROJECT, "s"), "a/b").version == 1  # type: ignore[union-attr]


def test_a_put_that_was_not_sent_is_refused(worker: Worker, loop: Loop) -> None:
    found = running(fast_path(worker, OWNER), put(1))
    loop.commits.pop()[1](None, Unavailable("not sent"))
    assert status(found[0]) == 503


def test_writes_of_the_same_fact_do_not_overtake_one_another(worker: Worker, loop: Loop) -> None:
    path = fast_path(worker, OWNER)
    path.serve(read(put(1)), local=True)
    path.serve(read(put(1, FACT + "c")), local=True)
    assert started(path, put(2)) == []
    assert started(path, put(3)) is None, "the greenlet waits"
    assert started(path, put(3, FACT + "c")) == []
    loop.write()
    loop.write()
    assert started(path, put(4)) == []
    loop.commits.clear()


@pytest.mark.parametrize(
    "raw",
    [
        request_bytes("PUT", FACT, JSON, body=b'{"value":1,"ttl":60}'),
        request_bytes("PUT", FACT, JSON, body=b'{"value":1,"member":"nobody"}'),
        request_bytes("PUT", "/v1/stacks/s/facts/.a", JSON, body=b'{"value":1}'),
        request_bytes("PUT", FACT, JSON, body=b"["),
        request_bytes("POST", "/v1/stacks/s/members/nobody/heartbeat"),
        request_bytes(
            "POST",
            "/v1/stacks/s/batch",
            JSON,
            body=b'{"operations":[{"put":{"path":".","value":1}}]}',
        ),
        SERVED["context"][0],
    ],
)
def test_what_may_have_to_wait_or_is_refused_is_left_to_the_greenlet(
    worker: Worker, loop: Loop, raw: bytes
) -> None:
    limiter = worker.services.rate_limiter
    charged, cancelled = Mock(wraps=limiter.request_at_once), Mock()
    with (
        patch.object(limiter, "request_at_once", charged),
        patch.object(limiter, "cancel", cancelled),
    ):
        assert started(fast_path(worker, OWNER), raw) is None
    assert charged.call_args == cancelled.call_args
    assert loop.commits == []


@pytest.mark.parametrize("simple", [True, False])
def test_a_write_waits_for_its_turn_behind_those_of_other_projects(
    worker: Worker, loop: Loop, simple: bool
) -> None:
    path, turns = fast_path(worker, OWNER), list[Callable[[], object]]()
    path._scheduler = Mock(join_shared=lambda flow, run: turns.append(run) or True)
    raw = put(1) if simple else request_bytes("PUT", FACT, JSON, body=b'{"value":1,"ttl":60}')
    found, written = running(path, raw), worker.services.transactor.running
    assert loop.commits == []
    assert written.oldest(Scope(PROJECT, "s")) < math.inf, "the stack is not quiet meanwhile"
    turns[0]()
    assert (written.oldest(Scope(PROJECT, "s")) < math.inf) is simple
    if simple:
        loop.write()
        assert status(found[0]) == 201
    else:
        assert found == [None], "the greenlet does it"


def test_a_write_waits_for_its_turn_to_be_answered(worker: Worker, loop: Loop) -> None:
    turns = list[Callable[[], object]]()
    join = Mock(return_value=False)
    found = running(fast_path(worker, OWNER, scheduler=Mock(join_shared=join)), put(1))
    join.side_effect = lambda flow, run: turns.append(run) or True
    loop.write()
    assert found == []
    turns.pop()()
    assert (status(found[0]), turns) == (201, [])


def test_a_failure_after_the_write_is_answered(
    worker: Worker, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fast_path(worker, OWNER)
    for broken in ("put_answer", "_metrics"):
        with monkeypatch.context() as broke:
            found = running(path, put(1))
            if broken == "_metrics":
                broke.setattr(path, "_metrics", Mock(observe=Mock(side_effect=OSError)))
            else:
                broke.setattr(Writes, broken, Mock(side_effect=OSError))
                loop.write()
                found = running(path, put(2))
            loop.write()
            assert status(found[0]) == 500


def test_a_heartbeat_ends_in_the_loop_or_is_repeated_by_the_greenlet(
    worker: Worker, loop: Loop
) -> None:
    worker.members.join(Scope(PROJECT, "s"), "m", JoinRequest("g", 60, "{}"), author())
    path = fast_path(worker, OWNER)
    for renewed, expected in ((True, b"HTTP/1.1 204 "), (None, None), (False, None)):
        found = running(path, SERVED["heartbeat"][0])
        loop.renewals.pop()(renewed)
        (response,) = found
        assert response is None or isinstance(response, bytes)
        assert (response or b"")[:13] == (expected or b"")


@pytest.fixture
def heads(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Reads of the store's newest revision, which end when a test calls them."""
    found: list[Callable[[], object]] = []
    head = Mock(error=None, revision=worker.store.state().revision)

    def join(end: Callable[[Mock], object]) -> Mock:
        found.append(partial(end, head))
        return head

    monkeypatch.setattr(worker.store, "join_head_read", join)
    return found


def context_request(worker: Worker, *, query: str = "", known: str | None = None) -> bytes:
    etag = worker.context.get(Scope(PROJECT, "s")).etag if known is None else known
    return request_bytes("GET", f"/v1/stacks/s/context{query}", f'If-None-Match: "{etag}"')


def test_a_context_that_has_not_changed_is_confirmed_in_the_loop(
    worker: Worker, heads: list[Callable[[], object]]
) -> None:
    worker.put(Scope(PROJECT, "s"), "a/b", 1)
    found = running(fast_path(worker, OWNER), context_request(worker))
    heads[0]()
    assert isinstance(found[0], bytes)
    assert status(found[0]) == 304


@pytest.mark.parametrize("change", ["changes", "lags", "fails", "is deleted"])
def test_a_context_that_may_have_changed_is_read_by_the_greenlet(
    worker: Worker, heads: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    scope = Scope(PROJECT, "s")
    worker.put(scope, "a/b", 1)
    raw, head = context_request(worker), worker.store.join_head_read(print)
    found = running(fast_path(worker, OWNER), raw)
    expected = 304
    if change == "changes":
        worker.put(scope, "a/b", 2)
        expected = 200
    elif change == "lags":
        head.revision = 10**9
    elif change == "fails":
        head.error = Unavailable("not now")
    else:
        worker.stacks.delete(scope, author())
        expected = 404
    heads[-1]()
    assert callable(found[0])
    assert status(found[0]) == expected


@pytest.mark.parametrize("query", ["?wait=1", "?settle=1&wait=1", "?since=0123456789abcdef.1"])
def test_a_context_that_needs_more_than_a_comparison_is_read_by_the_greenlet(
    worker: Worker, heads: list[Callable[[], object]], query: str
) -> None:
    worker.put(Scope(PROJECT, "s"), "a/b", 1)
    path = fast_path(worker, OWNER)
    assert started(path, context_request(worker, query=query)) is None
    assert started(path, request_bytes("GET", "/v1/stacks/s/context")) is None
    assert heads == []


def test_writes_that_take_too_long_are_ended(worker: Worker, loop: Loop) -> None:
    path = fast_path(worker, OWNER)
    assert started(path, put(1)) == []
    assert path.expire()
    loop.handle.expire.assert_called_once()
    loop.write()
    path.expire()
    loop.handle.expire.assert_called_once()


def test_time_is_kept_while_requests_run(worker: Worker, loop: Loop) -> None:
    path = fast_path(worker, OWNER)
    path.begun = Mock()
    assert not path.expire()
    assert started(path, put(1)) == []
    path.begun.assert_called_once_with()
    assert path.expire()
    loop.write()
    assert not path.expire()


# Reads of the store

BEGAN = 100.0


class Store:
    """A store whose calls end when the test ends them."""

    def __init__(self) -> None:
        self.ended: list[tuple[Mock, Mock]] = []
        self.reached: list[tuple[int, Mock]] = []
        self.now = Mock(revision=5)
        self.now.fact.return_value = "the fact"

    def join_head_read(self, ended: Mock) -> None:
        self.ended.append((Mock(error=None, revision=0), ended))

    join_bump = join_head_read

    def join_revision(self, revision: int, reached: Mock) -> None:
        self.reached.append((revision, reached))

    def state(self) -> Mock:
        return self.now

    def end(self, revision: int = 0, error: FactstoreError | None = None) -> None:
        call, ended = self.ended.pop()
        call.revision, call.error = revision, error
        ended(call)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def found() -> list[Fact | FactstoreError | None]:
    return []


@pytest.fixture
def fact_read(store: Store, found: list[Fact | FactstoreError | None]) -> FactRead:
    request = read(request_bytes("GET", FACT))
    made = FactRead(store, request, OWNER, BEGAN, 5.0, lambda read, result: found.append(result))  # type: ignore[arg-type]
    made.start()
    return made


def test_a_read_shows_a_state_at_the_revision_of_the_store(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(5)
    assert found == ["the fact"]
    fact_read.expire(BEGAN + 6)
    assert found == ["the fact"], "it ends once"


def test_a_read_waits_for_a_state_that_lags(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(7)
    assert found == []
    ((revision, reached),) = store.reached
    assert revision == 7
    store.now.revision = 7
    reached()
    assert found == ["the fact"]


def test_a_read_is_left_to_the_view_if_the_state_was_read_again_from_before(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(7)
    fact_read.expire(BEGAN + 2 * FOREIGN_SECONDS)
    store.reached[0][1]()
    assert found == [None]


def test_a_read_passes_a_foreign_revision(
    store: Store, fact_read: FactRead, found: list[object]
) -> None:
    store.end(7)
    fact_read.expire(BEGAN + FOREIGN_SECONDS / 2)
    assert not store.ended
    fact_read.expire(BEGAN + 2 * FOREIGN_SECONDS)
    store.end(9)
    assert store.reached[1][0] == 9
    store.now.revision = 9
    store.reached[1][1]()
    assert found == ["the fact"]


@pytest.mark.parametrize("error", [Unavailable("no answer"), CursorExpired("replaced")])
def test_a_read_states_that_the_store_is_away_and_leaves_other_errors_to_the_view(
    store: Store, fact_read: FactRead, found: list[object], error: FactstoreError
) -> None:
    store.end(error=error)
    assert found == [error if isinstance(error, Unavailable) else None]


@pytest.mark.parametrize(
    ("lags", "seconds", "expected"),
    [
        (True, LAG_SECONDS / 2, []),
        (True, LAG_SECONDS + 0.1, [None]),
        (False, 4.0, []),
        (False, 6.0, 503),
    ],
)
def test_a_read_that_waits_for_too_long_ends(
    store: Store,
    fact_read: FactRead,
    found: list[object],
    lags: bool,
    seconds: float,
    expected: list[object] | int,
) -> None:
    if lags:
        store.end(7)
        fact_read.expire(BEGAN + 2 * FOREIGN_SECONDS)
        store.end(9)
    for _ in range(2):
        fact_read.expire(BEGAN + seconds)
    if expected == 503:
        (error,) = found
        assert isinstance(error, Unavailable)
    else:
        assert found == expected


def test_the_reads_of_a_worker_expire_one_after_the_other(worker: Worker) -> None:
    path, now = fast_path(worker, OWNER), time.monotonic()
    late, new, newer = Mock(began=now - 6), Mock(began=now + 60), Mock(began=now + 60)
    path.reads.running = dict.fromkeys([late, new, newer], Mock())
    assert path.expire()
    late.expire.assert_called_once()
    assert not new.expire.called
    path.reads.running.clear()
    assert not path.expire()


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
