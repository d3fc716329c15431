"""Requests for a fact or for events that wait in gevent's loop."""

from __future__ import annotations

import json

import pytest

from factstore.core.model.precondition import ANY
from factstore.wsgi.fast_path.fast_path import Response
from tests.contract.world import Worker, author
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import read, status
from tests.unit.wsgi.loop_requests import SCOPE, Waits, delta

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
