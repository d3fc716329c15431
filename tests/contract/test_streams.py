"""Streams of the watch service, on every backend."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import LIST_AGAIN, CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Put, Scope
from factstore.core.model.stack_selection import Watched
from factstore.core.services.watch import SNAPSHOT_FOLLOWS
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    ChangeFrame,
    Frame,
    GoodbyeFrame,
    ResetFrame,
)
from tests.contract.watching import changes, of, paths, polled, stream
from tests.contract.world import Worker, World, author, soon
from tests.eventually import eventually


def test_a_stream_starts_with_a_snapshot_and_then_follows(
    worker: Worker, scope: Scope, watched: Watched
) -> None:
    for path in ("b", "a"):
        worker.put(scope, path)
    frames = stream(worker, watched, initial=True)
    assert paths(next(frames)) == ["a", "b"]
    bookmark = next(frames)
    assert isinstance(bookmark, BookmarkFrame)
    worker.put(scope, "c")
    worker.delete(scope, "a")
    assert changes(next(frames)) == ["fact.put c"]
    assert changes(next(frames)) == ["fact.delete a"]
    resumed = stream(worker, watched, bookmark.cursor)
    assert changes(next(resumed)) == ["fact.put c"]


def test_a_large_snapshot_is_split_into_pieces_with_each_fact_once(
    worker: Worker, scope: Scope
) -> None:
    everything = [f"f{n:03}" for n in range(300)]
    for start in range(0, 300, 100):
        requests = [Put.of(path, 1) for path in everything[start : start + 100]]
        worker.facts.batch(scope, requests, [], author())
    frames = stream(worker, scope, initial=True)
    pieces = [paths(next(frames)), paths(next(frames))]
    assert [len(piece) for piece in pieces] == [256, 44]
    assert pieces[0] + pieces[1] == everything
    assert isinstance(next(frames), BookmarkFrame)


def test_a_stream_without_a_beginning_begins_now(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "a")
    frames = stream(worker, scope)
    worker.put(scope, "b")
    assert changes(next(frames)) == ["fact.put b"]


def test_a_stream_resumes_after_any_event_on_any_worker(
    world: World, scope: Scope, watched: Watched
) -> None:
    first, second = world.worker(), world.worker()
    start = first.cursor(first.put(scope, "a", 0).revision)
    revisions = [first.put(scope, "a", n).revision for n in range(1, 8)]
    frames = stream(first, watched, start)
    cursors = [start]
    for _ in revisions:
        frame = next(frames)
        assert isinstance(frame, ChangeFrame)
        cursors.append(frame.cursor)
    for n, cursor in enumerate(cursors[:-1]):
        resumed = stream(second, watched, cursor)
        told = [next(resumed) for _ in revisions[n:]]
        assert [f.events[0].revision for f in told if isinstance(f, ChangeFrame)] == revisions[n:]


def test_a_worker_that_starts_late_serves_earlier_history(
    world: World, scope: Scope, watched: Watched
) -> None:
    first = world.worker()
    start = first.cursor(first.put(scope, "a", 0).revision)
    revisions = [first.put(scope, "a", n).revision for n in range(1, 4)]
    frames = stream(world.worker(), watched, start, reset=False)
    assert [changes(next(frames)) for _ in revisions] == [["fact.put a"]] * 3


def check_reset(frame: Frame) -> None:
    """Check that a frame tells the reader to use the snapshot, not to list."""
    assert isinstance(frame, ResetFrame)
    assert frame.detail.endswith(f"; {SNAPSHOT_FOLLOWS}.")
    assert LIST_AGAIN not in frame.detail


def test_a_stream_without_its_history_is_reset_or_refused_as_requested(
    world: World, scope: Scope, watched: Watched
) -> None:
    first = world.worker()
    start = first.cursor(first.put(scope, "a", 0).revision)
    last = [first.put(scope, "a", n).revision for n in range(1, 4)][-1]
    first.backend.compact(last, soon())
    late = world.worker()
    refusals = []
    with pytest.raises(CursorExpired) as refused:
        late.watch.stream(watched, start, False, of(watched), False)
    refusals.append(refused.value)
    with pytest.raises(CursorExpired) as refused:
        late.watch.poll(watched, start, 0, of(watched))
    refusals.append(refused.value)
    assert {LIST_AGAIN in refusal.detail for refusal in refusals} == {True}
    frames = stream(late, watched, start)
    check_reset(next(frames))
    assert paths(next(frames)) == ["a"]
    bookmark = next(frames)
    assert isinstance(bookmark, BookmarkFrame)
    late.put(scope, "b")
    assert changes(next(frames)) == ["fact.put b"]
    for cursor in (Cursor("0" * 16, 1), start._replace(revision=last + 1000)):
        check_reset(next(stream(late, watched, cursor)))


def test_a_reader_that_falls_behind_is_disconnected_with_its_cursor(
    world: World, scope: Scope, watched: Watched
) -> None:
    worker = world.worker(history=3)
    worker.put(scope, "a", 0)
    frames = stream(worker, watched)
    worker.put(scope, "a", 1)
    seen = next(frames)
    assert isinstance(seen, ChangeFrame)
    last = [worker.put(scope, "a", n).revision for n in range(2, 9)][-1]
    eventually(lambda: worker.hub.cursor.revision >= last)
    rest = list(frames)
    assert isinstance(rest[-1], GoodbyeFrame)
    assert [frame for frame in rest if isinstance(frame, ChangeFrame)] == [], "a gap was not told"
    check_reset(next(stream(worker, watched, seen.cursor)))


def test_the_deletion_of_a_stack_ends_its_streams_and_no_others(
    worker: Worker, scope: Scope
) -> None:
    other = Scope(scope.project_id, f"{scope.stack}-other")
    worker.put(scope, "a")
    worker.put(other, "a")
    ended = stream(worker, scope, wanted=Filter(("nothing",), frozenset({"fact.put"})))
    lives = stream(worker, other)
    worker.stacks.delete(scope, author("bob"))
    frame = next(ended)
    assert isinstance(frame, ChangeFrame)
    assert [(c.type, c.by) for c in frame.events[0].changes] == [("stack.delete", "bob")]
    assert isinstance(next(ended), GoodbyeFrame)
    assert list(ended) == []
    worker.put(other, "b")
    assert changes(next(lives)) == ["fact.put b"]


def test_a_stream_ends_with_a_goodbye_when_the_service_stops(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "a")
    frames = stream(worker, scope)
    worker.hub.close()
    assert [type(frame) for frame in frames] == [GoodbyeFrame]


def test_concurrent_readers_receive_concurrent_writes_in_the_same_order(
    world: World, scope: Scope, watched: Watched, threads: ThreadPoolExecutor
) -> None:
    workers = [world.worker(), world.worker()]
    start = workers[0].cursor(workers[0].put(scope, "start").revision)

    def write(worker: Worker, name: str) -> list[int]:
        return [worker.put(scope, f"{name}/{n % 3}", n).revision for n in range(25)]

    writing = [threads.submit(write, worker, f"w{n}") for n, worker in enumerate(workers * 2)]
    written = sorted({revision for done in writing for revision in done.result(60)})
    told = []
    for worker in workers:
        frames = stream(worker, watched, start)
        told.append(
            list(
                itertools.takewhile(
                    lambda revision: revision < written[-1],
                    (f.events[0].revision for f in frames if isinstance(f, ChangeFrame)),
                )
            )
        )
        assert polled(worker, watched, start, written[-1]) == written
    assert told == [written[:-1], written[:-1]]
