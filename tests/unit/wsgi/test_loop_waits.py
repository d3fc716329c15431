"""Reads of what has changed in a context, which wait in the loop."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.member import JoinRequest
from factstore.core.model.read_set import ReadSet
from factstore.core.services.context import SMALL_CHARACTERS
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import AT_ONCE
from factstore.wsgi.fast_path.fast_path import Response
from factstore.wsgi.fast_path.loop_waits import SWEEP_SECONDS
from tests.contract.world import Worker, author
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import read, status
from tests.unit.wsgi.loop_requests import SCOPE, Waits, delta


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
