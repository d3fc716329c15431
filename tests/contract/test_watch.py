"""Polls of the watch service, and writes of foreign keys beside them, on every backend."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import CursorExpired, Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.stack_selection import Watched
from factstore.core.services.watch_filter import Filter
from tests.contract.watching import ALL, of, polled
from tests.contract.world import Worker, World, author
from tests.eventually import eventually


def test_a_poll_returns_the_events_after_a_cursor_and_the_next_cursor(
    worker: Worker, scope: Scope, watched: Watched
) -> None:
    first = worker.put(scope, "a").revision
    rest = [worker.put(scope, "a", n).revision for n in range(2, 5)]
    assert polled(worker, watched, worker.cursor(first), rest[-1]) == rest


def test_a_poll_without_a_cursor_begins_now(
    worker: Worker, scope: Scope, watched: Watched, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "a")
    waiting = worker.waiting(threads, worker.watch.poll, watched, None, 30, of(watched))
    written = worker.put(scope, "b")
    answer = waiting.result(60)
    assert [event.revision for event in answer.events] == [written.revision]
    assert answer.next == worker.cursor(written.revision)


def test_a_poll_without_events_advances_its_cursor(
    worker: Worker, scope: Scope, watched: Watched
) -> None:
    first = worker.put(scope, "a").revision
    other = worker.put(Scope(scope.project_id, f"other-{scope.stack}"), "x").revision
    eventually(lambda: worker.hub.cursor.revision >= other)
    answer = worker.watch.poll(watched, worker.cursor(first), 0, of(watched))
    assert answer.events == ()
    assert not answer.more
    assert answer.next.revision >= other


def test_an_event_reaches_a_reader_on_another_worker_with_its_author(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "p", "old")
    waiting = worker.waiting(threads, worker.watch.poll, scope, None, 30, ALL)
    by = author("bob")
    world.worker().facts.batch(scope, [Put.of("q", 1), Delete("p")], [], by)
    (event,) = waiting.result(60).events
    put, delete = event.changes
    assert (put.type, put.path, put.by, put.request_id) == ("fact.put", "q", "bob", by.request_id)
    assert (delete.type, delete.path, delete.by) == ("fact.delete", "p", "bob")
    assert delete.request_id == by.request_id
    assert delete.previous is not None
    assert json.loads(delete.previous.text) == "old"


def test_a_reader_receives_only_the_requested_changes(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "n/1")
    wanted = Filter(("n/1",), frozenset({"fact.delete"}))
    waiting = worker.waiting(threads, worker.watch.poll, scope, None, 30, wanted)
    worker.put(scope, "n/10")
    worker.delete(scope, "n/10")
    worker.put(scope, "n/1", 2)
    worker.delete(scope, "n/1")
    (event,) = waiting.result(60).events
    assert [(c.type, c.path) for c in event.changes] == [("fact.delete", "n/1")]


def test_cursors_that_cannot_be_followed_are_refused(
    worker: Worker, scope: Scope, watched: Watched
) -> None:
    first = worker.put(scope, "a").revision
    worker.put(scope, "a", 2)
    cursor = worker.cursor(first)
    for expired in (
        Cursor("0" * 16, first),
        cursor._replace(revision=first + 1000),
        cursor._replace(revision=2**63 - 1),
    ):
        with pytest.raises(CursorExpired):
            worker.watch.poll(watched, expired, 0, of(watched))
        with pytest.raises(CursorExpired):
            worker.watch.stream(watched, expired, False, of(watched), False)


def test_only_a_stack_that_exists_is_watched(worker: Worker, scope: Scope) -> None:
    for watch in (
        lambda: worker.watch.poll(scope, None, 0, ALL),
        lambda: worker.watch.stream(scope, None, True, ALL, True),
    ):
        with pytest.raises(NotFound):
            watch()
    worker.put(scope, "a")
    with pytest.raises(Invalid):
        worker.watch.poll(scope, None, 0, Filter(("a/",)))


def test_a_poll_ends_when_the_service_stops(
    worker: Worker, scope: Scope, watched: Watched, threads: ThreadPoolExecutor
) -> None:
    written = worker.put(scope, "a").revision
    waiting = worker.waiting(threads, worker.watch.poll, watched, None, 30, of(watched))
    worker.hub.close()
    answer = waiting.result(60)
    assert answer.events == ()
    assert answer.next.revision >= written


# Foreign keys in the same etcd


def test_foreign_keys_neither_delay_reads_nor_make_them_stale(world: World, scope: Scope) -> None:
    first, second = world.worker(), world.worker()
    first.put(scope, "p", 0)
    for n in range(1, 20):
        world.write_foreign_key()
        assert second.value(scope, "p") == str(n - 1)
        first.put(scope, "p", n)
        world.write_foreign_key()
        assert second.value(scope, "p") == str(n)
        assert json.loads(second.context.get(scope).text)["facts"] == {"p": n}


def test_writes_of_foreign_keys_cause_no_events(world: World, worker: Worker, scope: Scope) -> None:
    start = worker.cursor(worker.put(scope, "p").revision)
    for _ in range(5):
        world.write_foreign_key()
    written = worker.put(scope, "p", 2).revision
    assert polled(worker, scope, start, written) == [written]
