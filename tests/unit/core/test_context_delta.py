"""The changes of a context since a cursor."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DropFact, DropRecord, PutFact, PutRecord
from factstore.core.model.member import Member
from factstore.core.model.permissions import Permissions
from factstore.core.model.record import RecordKey
from factstore.core.services import context as context_service
from factstore.core.services.compiled_context import Context
from factstore.core.services.context import WHOLE
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import Debounce
from tests.unit.core.factories import EPOCH, SCOPE, fact
from tests.unit.core.test_context_views import member
from tests.unit.core.timeline import Timeline


def join(line: Timeline, joining: Member) -> int:
    return line.step(PutRecord("s1", replace(joining, revision=line.revision + 1)))


def cursor(line: Timeline) -> Cursor:
    return line.contexts.get(SCOPE).cursor


def changes(
    line: Timeline, since: Cursor, view: ContextView = WHOLE, **more: Any
) -> dict[str, Any]:
    """Return the parts of a delta that are not empty."""
    delta = line.contexts.since(SCOPE, since, view, **more)
    assert isinstance(delta, ContextDelta)
    document: dict[str, Any] = json.loads(delta.text)
    assert (document.pop("since"), document.pop("cursor")) == (str(since), str(delta.cursor))
    assert document.pop("checksum") == delta.checksum
    return {name: value for name, value in document.items() if value}


def is_whole(line: Timeline, since: Cursor) -> bool:
    """Return True if the response is the whole context, without waiting."""
    before = line.clock.now
    found = line.contexts.since(SCOPE, since, wait=30)
    assert line.clock.now == before
    assert found.checksum == line.contexts.get(SCOPE).checksum
    return isinstance(found, Context)


def test_a_delta_contains_only_the_last_state_of_what_changed() -> None:
    line = Timeline()
    line.put("old", 1)
    line.put("same", 1)
    join(line, member("c1"))
    since = cursor(line)
    line.put("new", 1)
    line.put("new", 2)
    line.put("brief", 1)
    line.step(DropFact("s1", "brief"))
    line.step(DropFact("s1", "old"))
    line.step(PutFact("s1", fact("key", None, line.revision + 1, sealed="1.x")))
    join(line, member("c2", "head", attributes="{}"))
    line.step(DropRecord("s1", RecordKey(Member, "c1")))
    assert changes(line, since) == {
        "facts": {"key": None, "new": 2},
        "deleted": ["brief", "old"],
        "members": {"c2": {"group": "head", "state": "ready", "attributes": {}}},
        "departed": ["c1"],
        "sensitive": {"key": f"{EPOCH}.{line.revision - 2}"},
    }
    assert changes(line, cursor(line)) == {}


def test_a_delta_contains_only_what_the_reader_sees() -> None:
    line = Timeline()
    mine, theirs, result = ("configs/c1/a", "configs/c2/a", "results/c1/a")
    for path in (mine, theirs, result):
        line.put(path, 0)
    since = cursor(line)
    for path in (mine, theirs, result):
        line.step(DropFact("s1", path))
    agent = ContextView(permissions=Permissions("agent", member="c1", grant="g"))
    reader = ContextView(permissions=Permissions("reader", grant="g"))
    assert changes(line, since) == {"deleted": [mine, theirs]}
    assert changes(line, since, ContextView(results=True)) == {"deleted": [mine, theirs, result]}
    assert changes(line, since, agent) == {"deleted": [mine]}
    assert changes(line, since, reader) == {}


# Waiting


def test_a_wait_ends_with_the_first_change_to_apply() -> None:
    line = Timeline()
    since = cursor(line)
    line.at(2, line.pass_by)
    line.at(3, lambda: line.put("results/c1/a", 1))
    line.at(5, lambda: line.put("a", 1))
    assert changes(line, since, wait=30) == {"facts": {"a": 1}}
    assert line.passed == 5


def test_a_wait_without_a_change_ends_with_a_newer_cursor() -> None:
    line = Timeline()
    since = cursor(line)
    line.at(2, line.pass_by)
    assert changes(line, since, wait=30) == {}
    delta = line.contexts.since(SCOPE, since)
    assert (delta.cursor.revision, line.passed) == (since.revision + 1, 30)


def test_a_settled_wait_ends_when_the_stack_is_quiet() -> None:
    line = Timeline()
    since = cursor(line)
    line.puts(1, 1.5, 2)
    found = changes(line, since, wait=30, settle=Debounce(1, 10))
    assert (found["facts"], line.passed) == ({"a": line.revision}, 3)


def test_an_undone_change_ends_the_wait_because_it_has_to_be_applied() -> None:
    line = Timeline()
    line.put("a", 1)
    since = cursor(line)
    line.at(1, lambda: line.put("a", 2))
    line.at(1.5, lambda: line.put("a", 1))
    assert changes(line, since, wait=30, settle=Debounce(1, 10)) == {"facts": {"a": 1}}
    assert line.passed == 2.5


def test_a_wait_ends_when_the_member_departs() -> None:
    line = Timeline()
    join(line, member("c1"))
    since = cursor(line)
    line.at(1, lambda: join(line, member("c1", state="departed")))
    with pytest.raises(NotFound):
        line.contexts.since(SCOPE, since, ContextView(member="c1"), wait=30)
    assert line.passed == 1


def test_a_delta_waits_for_events_that_are_published_after_the_state() -> None:
    line = Timeline()
    since = cursor(line)
    publish = line.hub.publish
    late: list[Any] = []
    line.hub.publish = lambda *args: late.append(args)  # type: ignore[method-assign]
    line.put("a", 1)
    line.at(1, lambda: publish(*late[0]))
    assert changes(line, since) == {"facts": {"a": 1}}


# The whole context instead


def test_the_whole_context_is_returned_if_the_history_is_not_in_memory() -> None:
    line = Timeline(history=2)
    since = cursor(line)
    line.put("a", 1)
    line.put("a", 2)
    assert not is_whole(line, since)
    line.put("a", 3)
    assert is_whole(line, since)


def test_the_whole_context_is_returned_for_a_cursor_of_another_store() -> None:
    line = Timeline()
    line.put("a", 1)
    now = cursor(line)
    assert is_whole(line, Cursor("f" * 16, now.revision - 1))
    assert is_whole(line, Cursor(EPOCH, now.revision + 1))


def test_the_whole_context_is_returned_for_a_cursor_of_a_deleted_stack_of_the_same_name() -> None:
    line = Timeline()
    line.put("a", 1)
    since = cursor(line)
    line.delete_stack()
    with pytest.raises(NotFound):
        line.contexts.since(SCOPE, since, wait=30)
    line.create_stack()
    assert is_whole(line, since)
    assert not is_whole(line, Cursor(EPOCH, line.put("a", 1) - 1))


def test_the_whole_context_is_returned_if_the_changes_are_larger() -> None:
    line = Timeline()
    since = cursor(line)
    for n in range(100):
        line.put(f"{n}", "x" * 50)
    assert not is_whole(line, Cursor(EPOCH, line.revision - 50))
    for n in range(100):
        line.step(DropFact("s1", f"{n}"))
    line.put("a", "x" * 500)
    line.put("b", "x" * 500)
    assert is_whole(line, since)


# Shared texts


def test_the_same_changes_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Timeline()
    for name in ("c1", "c2"):
        join(line, member(name))
    since = cursor(line)
    line.put("a", 1)
    first = line.contexts.since(SCOPE, since, ContextView(member="c1"))
    monkeypatch.setattr(context_service, "changes_texts", None)
    assert line.contexts.since(SCOPE, since, ContextView(member="c2")) == first


def test_a_document_of_any_size_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Timeline()
    for n in range(20):
        line.put(f"large/{n}", "x" * 60_000)
    for name in ("c1", "c2"):
        join(line, member(name))
    whole = line.contexts.get(SCOPE)
    assert len(whole.text) > 1024 * 1024
    monkeypatch.setattr(context_service, "Rendered", None)
    assert line.contexts.get(SCOPE).texts is whole.texts
    assert line.contexts.get(SCOPE, ContextView(member="c2", parts=())).texts is whole.texts
    seen = line.contexts.get(SCOPE, ContextView(member="c1"))
    assert seen.text.startswith(whole.text[:-1])
    assert all(text is shared for text, shared in zip(seen.texts, whole.texts[:-1], strict=False))


def test_documents_of_successive_revisions_share_their_large_values() -> None:
    line = Timeline()
    for n in range(20):
        line.put(f"large/{n:02}", "x" * 60_000)
    shared = {id(text) for text in line.contexts.get(SCOPE).texts}
    since = cursor(line)
    line.put("large/07", "y" * 60_000)
    own = [text for text in line.contexts.get(SCOPE).texts if id(text) not in shared]
    assert sum(map(len, own)) < 70_000
    delta = line.contexts.since(SCOPE, since)
    assert {id(text) for text in delta.texts if len(text) > 60_000} <= set(map(id, own))


def test_a_view_has_the_parts_that_are_requested() -> None:
    line = Timeline()
    for name in ("c1", "c2"):
        join(line, member(name))
    both = json.loads(line.contexts.get(SCOPE, ContextView(member="c1")).text)
    for parts in ((), ("self",), ("peers",), ("self", "peers")):
        document = json.loads(line.contexts.get(SCOPE, ContextView(member="c1", parts=parts)).text)
        assert list(document) == ["stack", "facts", "members", *parts]
        assert document == {name: both[name] for name in document}


def test_each_view_of_a_member_has_its_own_etag() -> None:
    line = Timeline()
    for name in ("c1", "c2"):
        join(line, member(name))
    views = [
        ContextView(member=name, parts=parts)
        for name in ("c1", "c2")
        for parts in (("self",), ("peers",), ("self", "peers"))
    ]
    tags = [line.contexts.get(SCOPE, view).etag for view in (WHOLE, *views)]
    assert len(set(tags)) == len(tags)
    assert line.contexts.get(SCOPE, ContextView(member="c1", parts=())).etag == tags[0]


def test_a_settling_reader_is_woken_once_in_each_quiet_time_however_many_changes_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Timeline()
    since = cursor(line)
    line.puts(*[1 + n / 100 for n in range(300)])
    pauses: list[float] = []
    pause = line.hub.pause
    monkeypatch.setattr(
        line.hub, "pause", lambda scope, left: pauses.append(left) or pause(scope, left)
    )
    assert changes(line, since, wait=30, settle=Debounce(1, 10))["facts"] == {"a": line.revision}
    assert line.passed == pytest.approx(1 + 2.99 + 1)
    assert len(pauses) <= 5


def test_a_reader_that_comes_late_does_not_wait_for_a_quiet_that_has_been() -> None:
    line = Timeline()
    since = cursor(line)
    line.put()
    line.at(0.75, lambda: None)
    line.sleep(0.75, lambda: False)
    assert changes(line, since, wait=30, settle=Debounce(1, 10))["facts"]
    assert line.passed == 1.0
