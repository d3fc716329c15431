"""Writes, heartbeats and contexts that the fast path starts in the loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from unittest.mock import Mock, patch

import pytest

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ANY
from factstore.core.model.transaction import Transaction
from factstore.core.operations.planner import Planner
from factstore.core.ports import CommitEnded
from factstore.core.state.state import State
from factstore.wsgi.fast_path.writes import Writes
from tests.contract.world import PROJECT, Worker, author
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import (
    FACT,
    JSON,
    OWNER,
    SERVED,
    fast_path,
    put,
    read,
    running,
    started,
    status,
)


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


def test_a_put_ends_in_the_loop_once_it_is_written(worker: Worker, loop: Loop) -> None:
    path = fast_path(worker, OWNER)
    for value, expected in ((1, 201), (2, 200)):
        found = running(path, put(value))
        loop.write()
        assert isinstance(found[0], bytes)
        assert status(found[0]) == expected
    assert worker.store.state().fact(Scope(PROJECT, "s"), "a/b").version == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("outcome", ["included", "not included yet", "of another store"])
@pytest.mark.parametrize("stack", ["s", ""])
def test_a_holders_write_proves_that_the_state_is_fresh_if_the_state_includes_it(
    worker: Worker, loop: Loop, monkeypatch: pytest.MonkeyPatch, outcome: str, stack: str
) -> None:
    noted = Mock()
    monkeypatch.setattr(worker.services.grants, "note_refresh", noted)
    path = fast_path(worker, replace(OWNER, stack=stack))
    path.serve(read(put(1)), local=True)
    before = time.monotonic()
    found = running(path, put(2))
    started_at, state = time.monotonic(), worker.store.state()
    if outcome == "included":
        loop.write()
    else:
        if outcome == "of another store":
            state.epoch = "another"
        revision = state.revision + (outcome == "not included yet")
        loop.commits.pop()[1](revision, None)
    assert isinstance(found[0], bytes)
    assert status(found[0]) == 200
    if outcome == "included" and stack:
        ((began,),) = [call.args for call in noted.call_args_list]
        assert before <= began <= started_at
    else:
        assert not noted.called


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
    metrics = Mock()
    path = fast_path(worker, OWNER, metrics=metrics)
    for broken in ("put_answer", "observe"):
        with monkeypatch.context() as broke:
            found = running(path, put(1))
            if broken == "observe":
                broke.setattr(metrics, broken, Mock(side_effect=OSError))
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
