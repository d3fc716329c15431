"""Which requests the fast path answers, and what it leaves to the views."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from unittest.mock import Mock

import pytest

from factstore.api.identity import Identity
from factstore.core.errors import Throttled, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.permissions import Permissions
from factstore.core.services.rate_limit import MAX_DELAY_SECONDS, Allowance, RateLimiter
from factstore.policies import facts as fact_rules
from factstore.policies import stacks as stack_rules
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.fast_path import FastPath
from factstore.wsgi.fast_path.stream_answer import StreamStart
from factstore.wsgi.scheduler import ThreadScheduler
from tests.contract.world import PROJECT, Worker
from tests.raw_http import request_bytes
from tests.unit.core.factories import ManualClock
from tests.unit.wsgi.fast_requests import (
    FACT,
    JSON,
    OWNER,
    SERVED,
    answer,
    fast_path,
    put,
    read,
    status,
    stream_start,
)


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


def test_a_stream_without_events_to_deliver_begins_in_the_loop(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, epoch = fast_path(worker, OWNER), worker.store.state().epoch
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
    metrics, charged = Mock(), Mock()
    path = fast_path(worker, OWNER, metrics=metrics)
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
    limiter = Mock(request=Mock(return_value=0.0))
    path = fast_path(worker, OWNER, limiter=limiter)
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
    allowed = Allowance(requests_per_second=1, burst=1)
    limiter = RateLimiter(lambda project_id: allowed, clock, blocking=1)
    path = fast_path(worker, OWNER, scheduler=scheduler, limiter=limiter)
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
