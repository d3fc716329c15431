"""Reads of what has changed in a context, and of facts, which wait in the loop."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ANY
from factstore.core.model.read_set import ReadSet
from factstore.core.services.context import SMALL_CHARACTERS
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import AT_ONCE
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.fast_path import FastPath, Response
from factstore.wsgi.fast_path.loop_waits import SWEEP_SECONDS
from factstore.wsgi.scheduler import ThreadScheduler
from tests.contract.world import PROJECT, Worker, author
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import OWNER, read, status

SCOPE = Scope(PROJECT, "s")


LONG = 1000.0  # of time-outs, which are not to pass while the clock stands still


class StillClock(SystemClock):
    """A clock that begins with the system's time, and moves only when a test moves it."""

    def __init__(self) -> None:
        self._began = super().monotonic()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return self._began + self.ahead


class Waits:
    """The fast path of one caller, whose time is that of a clock.

    :ivar metrics: the requests that were counted.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.clock = StillClock()
        worker.hub._now = self.clock.monotonic
        worker.context._clock, worker.context._timeout = self.clock, LONG
        worker.context._activity = replace(worker.context._activity, clock=self.clock)
        self.metrics = Mock()
        self.path = FastPath(
            worker.store,
            worker.hub,
            self.clock,
            worker.services,
            lambda rule, identity, project_id: True,
            lambda headers, local: OWNER,
            ThreadScheduler(),
            self.metrics,
            LONG,
        )
        self.attend = Mock()

    def start(self, query: str, *headers: str) -> list[Response]:
        """Start to wait from now on, and return the list of the responses."""
        cursor = self._worker.context.get(SCOPE).cursor
        raw = request_bytes("GET", f"/v1/stacks/s/context?since={cursor}&{query}", *headers)
        found: list[Response] = []
        assert self.path.start(read(raw), found.append, self.attend, local=True)
        eventually(lambda: bool(found) or not self.path._loop_waits._started)
        return found

    def published(self) -> None:
        """Wait until the worker's watch has delivered all events."""
        hub, store = self._worker.hub, self._worker.store
        eventually(lambda: hub.has_published(store.state().cursor))

    @property
    def waiting(self) -> int:
        return self._worker.services.rate_limiter.open_in("waiting_requests")


@pytest.fixture
def waits(worker: Worker) -> Waits:
    worker.put(SCOPE, "a", 1)
    return Waits(worker)


def delta(response: Response) -> Any:
    assert isinstance(response, bytes), "it ends in the loop"
    assert status(response) == 200
    return json.loads(response.partition(b"\r\n\r\n")[2])


def test_a_wait_ends_with_the_next_change(worker: Worker, waits: Waits) -> None:
    found = waits.start("wait=50")
    assert (found, waits.waiting) == ([], 1)
    worker.put(SCOPE, "a", 2)
    eventually(lambda: bool(found))
    assert delta(found[0])["facts"] == {"a": 2}
    assert waits.waiting == 0
    assert waits.metrics.observe.call_args.args[4] is None, "it has waited"


def test_a_wait_ends_in_time_without_a_change(waits: Waits) -> None:
    found = waits.start("wait=50")
    waits.clock.ahead += 40
    assert waits.path.expire()
    assert found == []
    waits.clock.ahead += 10.1
    waits.path.expire()
    assert delta(found[0])["facts"] == {}
    waits.clock.ahead += SWEEP_SECONDS
    assert not waits.path.expire(), "nothing is left to see to"


def test_without_a_wait_the_response_is_due_at_once(waits: Waits) -> None:
    for _ in range(2):  # the second one gets what was made for the first one
        found = waits.start("wait=0")
        eventually(lambda found=found: bool(found))  # type: ignore[misc]
        assert delta(found[0])["facts"] == {}
    waits.published()


def test_readers_of_the_same_changes_share_them_only_at_one_revision(
    worker: Worker, waits: Waits
) -> None:
    since = worker.context.get(SCOPE).cursor
    for value in (2, 2, 3):
        worker.put(SCOPE, "a", value)
        waits.published()
        for view in ("", "&include=results", "&member=m"):
            found: list[Response] = []
            raw = request_bytes("GET", f"/v1/stacks/s/context?since={since}{view}")
            assert waits.path.start(read(raw), found.append, waits.attend, local=True)
            eventually(lambda found=found: bool(found))  # type: ignore[misc]
            if view == "&member=m":
                assert callable(found[0]), "a greenlet answers that there is no such member"
            else:
                newest = worker.store.state().revision
                assert delta(found[0])["facts"] == {"a": value}
                assert delta(found[0])["cursor"] == f"{since.epoch}.{newest}"


@pytest.mark.parametrize("broken", ["changes", "unchanged"])
def test_a_read_that_fails_in_the_loop_is_left_to_a_greenlet(
    worker: Worker, waits: Waits, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    context = worker.context.get(SCOPE)
    monkeypatch.setattr(worker.context, broken, Mock(side_effect=ZeroDivisionError))
    query, headers = f"?since={context.cursor}", ()
    if broken == "unchanged":
        query, headers = "", (f'If-None-Match: "{context.etag}"',)
    found: list[Response] = []
    raw = request_bytes("GET", f"/v1/stacks/s/context{query}", *headers)
    assert waits.path.start(read(raw), found.append, waits.attend, local=True)
    eventually(lambda: bool(found))
    assert callable(found[0])


def test_a_settled_wait_ends_when_the_stack_is_quiet(worker: Worker, waits: Waits) -> None:
    found = waits.start("wait=50&settle=4000&max_settle=60000")
    for value in (2, 3):
        worker.put(SCOPE, "a", value)
        waits.published()
        waits.clock.ahead += 2
        waits.path.expire()
        assert found == []
    waits.clock.ahead += 2.2
    waits.path.expire()
    assert delta(found[0])["facts"] == {"a": 3}


@pytest.mark.parametrize("query", ["wait=50", "wait=50&settle=5000"])
def test_a_wait_ends_with_its_stack(worker: Worker, waits: Waits, query: str) -> None:
    found = waits.start(query)
    worker.put(SCOPE, "a", 2) if "settle" in query else None
    waits.published()
    worker.stacks.delete(SCOPE, author())
    eventually(lambda: bool(found))
    assert status(found[0]) == 404


@pytest.mark.parametrize("query", ["wait=50", "wait=50&settle=5000"])
def test_a_wait_ends_with_the_worker(worker: Worker, waits: Waits, query: str) -> None:
    found = waits.start(query)
    worker.put(SCOPE, "a", 2) if "settle" in query else None
    worker.hub.close()
    eventually(lambda: bool(found))
    assert delta(found[0])["facts"] == ({"a": 2} if "settle" in query else {})


def test_a_wait_ends_without_a_response_if_its_client_has_gone(
    worker: Worker, waits: Waits
) -> None:
    found = waits.start("wait=50")
    waits.attend.call_args.args[0]()
    assert waits.waiting == 0
    assert waits.metrics.observe.call_args.args[2] == 499
    worker.put(SCOPE, "a", 2)
    waits.published()
    assert found == []


def test_a_wait_ends_with_a_change_that_concerns_the_read_set(worker: Worker, waits: Waits) -> None:
    member = worker.members.join(SCOPE, "m", JoinRequest("g", 60, "{}"), author()).member
    reads = ReadSet.of("m", ["a"], [], [])
    worker.read_sets.put(SCOPE, reads, member.generation, author())
    found = waits.start(f"member=m&view=none&read_set={reads.digest}&wait=50")
    worker.put(SCOPE, "b", 1)
    waits.published()
    assert found == []
    worker.put(SCOPE, "a", 2)
    eventually(lambda: bool(found))
    assert delta(found[0])["facts"] == {"a": 2, "b": 1}


def test_a_wait_of_a_former_incarnation_is_refused_by_the_greenlet(
    worker: Worker, waits: Waits
) -> None:
    worker.members.join(SCOPE, "m", JoinRequest("g", 60, "{}"), author())
    raw = request_bytes(
        "GET", "/v1/stacks/s/context?since=0123456789abcdef.1&member=m", "Factstore-Generation: 1"
    )
    assert not waits.path.start(read(raw), Mock(), local=True)
    assert status(b"".join(waits.path.serve(read(raw), local=True) or ())) == 409


def test_a_wait_reports_what_the_member_has_applied(worker: Worker, waits: Waits) -> None:
    worker.members.join(SCOPE, "m", JoinRequest("g", 60, "{}"), author())
    cursor = worker.context.get(SCOPE, ContextView(member="m")).cursor
    waits.start(f"member=m&wait=50&applied={cursor}")
    eventually(lambda: worker.convergence.get(SCOPE).reached)


@pytest.mark.parametrize(
    ("query", "members", "at_once"),
    [
        ("", 0, True),
        ("&member=m&include=results", 0, False),
        ("&member=m&view=none", 0, True),
        ("", 2, False),
    ],
)
def test_a_cursor_without_history_is_answered_with_a_small_document_or_by_the_greenlet(
    worker: Worker, waits: Waits, query: str, members: int, at_once: bool
) -> None:
    for number in range(members):  # their attributes do not count as facts
        attributes = json.dumps({"text": "x" * (SMALL_CHARACTERS // 2)})
        worker.members.join(SCOPE, f"n{number}", JoinRequest("g", 60, attributes), author())
    worker.members.join(SCOPE, "m", JoinRequest("g", 60, "{}"), author())
    raw = request_bytes("GET", f"/v1/stacks/s/context?since=0123456789abcdef.1&wait=50{query}")
    found: list[Response] = []
    assert waits.path.start(read(raw), found.append, waits.attend, local=True)
    eventually(lambda: bool(found))
    assert callable(found[0]) is not at_once
    assert status(found[0]) == 200
    if at_once:
        context = worker.context.get(SCOPE)
        assert isinstance(found[0], bytes)
        assert found[0].endswith(f"\r\n\r\n{context.text}\n".encode())
        assert f'ETag: "{context.etag}"'.encode() in found[0]
    assert waits.waiting == 0


def test_large_facts_are_not_rendered_in_the_loop(
    worker: Worker, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = worker.context.waiting(
        SCOPE, Cursor("0123456789abcdef", 1), ContextView(), 0, AT_ONCE
    )
    assert worker.context.small(worker.store.state(), waiting) is not None
    for name in "bcd":
        worker.put(SCOPE, name, "x" * (SMALL_CHARACTERS // 2 - 9))
    monkeypatch.setattr(worker.context, "_compile", Mock(side_effect=AssertionError))
    assert worker.context.small(worker.store.state(), waiting) is None
    worker.stacks.delete(SCOPE, author())
    assert worker.context.small(worker.store.state(), waiting) is None


def test_a_read_waits_no_longer_than_usual_for_a_revision_of_another_client(
    worker: Worker, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor, revision = worker.context.get(SCOPE).cursor, worker.store.state().revision
    head = Mock(error=None, revision=revision + 1)
    ends: list[Any] = []
    monkeypatch.setattr(worker.store, "join_head_read", lambda end: ends.append(partial(end, head)))
    raw = request_bytes("GET", f"/v1/stacks/s/context?since={cursor}")
    found: list[Response] = []
    assert waits.path.start(read(raw), found.append, waits.attend, local=True)
    ends[0]()
    assert found == []

    def passed() -> bool:
        waits.clock.ahead += 0.1
        waits.path.expire()
        return bool(found)

    eventually(passed)
    assert delta(found[0])["facts"] == {}
    assert worker.store.state().revision > revision


# Facts


def wait_for_fact(waits: Waits, path: str, *headers: str) -> list[Response]:
    """Start to wait for a fact, and return the list of the responses."""
    raw = request_bytes("GET", f"/v1/stacks/s/facts/{path}?wait=50", *headers)
    found: list[Response] = []
    assert waits.path.start(read(raw), found.append, waits.attend, local=True)
    eventually(lambda: bool(found) or not waits.path._loop_waits._started)
    return found


def test_a_wait_for_a_fact_ends_when_it_exists_or_differs(worker: Worker, waits: Waits) -> None:
    found = wait_for_fact(waits, "b")
    worker.put(SCOPE, "c", 1)
    waits.published()
    assert (found, waits.waiting) == ([], 1)
    worker.put(SCOPE, "b", 1)
    eventually(lambda: bool(found))
    assert delta(found[0])["value"] == 1
    etag = worker.facts.get(SCOPE, "b").etag
    found = wait_for_fact(waits, "b", f'If-None-Match: "{etag}"')
    assert found == []
    worker.put(SCOPE, "b", 2)
    eventually(lambda: bool(found))
    assert delta(found[0])["value"] == 2
    assert waits.waiting == 0


@pytest.mark.parametrize("ends", ["in time", "with the worker", "with the fact"])
def test_a_wait_for_a_fact_ends_without_it(worker: Worker, waits: Waits, ends: str) -> None:
    etag = worker.facts.get(SCOPE, "a").etag
    missing, known = (
        wait_for_fact(waits, "b"),
        wait_for_fact(waits, "a", f'If-None-Match: "{etag}"'),
    )
    if ends == "in time":
        waits.clock.ahead += 50.1
        waits.path.expire()
    elif ends == "with the worker":
        worker.hub.close()
    else:
        worker.facts.delete(SCOPE, "a", author(), ANY)
        eventually(lambda: bool(known))
        assert status(known[0]) == 404
        return
    eventually(lambda: bool(missing and known))
    assert [status(missing[0]), status(known[0])] == [404, 304]
    assert b"\r\nRetry-After: 1\r\n" in missing[0]  # type: ignore[operator]


# Events


def poll_events(waits: Waits, query: str = "?wait=50") -> list[Response]:
    """Start to wait for events, and return the list of the responses."""
    raw = request_bytes("GET", f"/v1/stacks/s/events{query}")
    found: list[Response] = []
    assert waits.path.start(read(raw), found.append, waits.attend, local=True)
    eventually(lambda: bool(found) or not waits.path._loop_waits._started)
    return found


def test_a_poll_ends_with_the_next_wanted_event(worker: Worker, waits: Waits) -> None:
    found = poll_events(waits, "?wait=50&prefix=b")
    worker.put(SCOPE, "a", 2)
    waits.published()
    assert (found, waits.waiting) == ([], 1)
    written = worker.put(SCOPE, "b", 1)
    eventually(lambda: bool(found))
    events = delta(found[0])
    assert [change["path"] for each in events["events"] for change in each["changes"]] == ["b"]
    assert (events["next"], events["more"]) == (
        f"{worker.store.state().epoch}.{written.revision}",
        False,
    )
    assert waits.waiting == 0
    assert waits.metrics.observe.call_args.args[4] is None, "it has waited"


def test_a_poll_ends_in_time_and_moves_its_cursor_on(worker: Worker, waits: Waits) -> None:
    found = poll_events(waits, "?wait=50&prefix=b")
    worker.put(SCOPE, "a", 2)
    waits.published()
    waits.clock.ahead += 50.1
    waits.path.expire()
    newest = f"{worker.store.state().epoch}.{worker.store.state().revision}"
    assert delta(found[0]) == {"next": newest, "more": False, "events": []}


def test_a_poll_ends_with_its_stack_or_with_the_service(worker: Worker, waits: Waits) -> None:
    found = poll_events(waits, "?wait=50&prefix=b")
    worker.stacks.delete(SCOPE, author())
    eventually(lambda: bool(found))
    (event,) = delta(found[0])["events"]
    assert [change["type"] for change in event["changes"]] == ["stack.delete"]
    worker.put(SCOPE, "a", 1)
    found = poll_events(waits)
    worker.hub.close()
    eventually(lambda: bool(found))
    assert delta(found[0])["events"] == []


def test_a_large_page_of_events_is_rendered_in_a_greenlet(worker: Worker, waits: Waits) -> None:
    since = worker.context.get(SCOPE).cursor
    for n in range(3):
        worker.put(SCOPE, f"large/{n}", "x" * 60_000)
    waits.published()
    (response,) = poll_events(waits, f"?since={since}")
    assert callable(response)
    pieces = b"".join(response() or ())
    assert len(json.loads(pieces.partition(b"\r\n\r\n")[2])["events"]) == 3
