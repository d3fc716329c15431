"""The watch service, on every backend."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from factstore.core.errors import LIST_AGAIN, CursorExpired, Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.services.watch import SNAPSHOT_FOLLOWS
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    ChangeFrame,
    Frame,
    GoodbyeFrame,
    PingFrame,
    ResetFrame,
    SnapshotFrame,
)
from tests.contract.membership import join
from tests.contract.waiting import arm
from tests.contract.world import Worker, World, author, soon
from tests.eventually import eventually

ALL = Filter()


@pytest.fixture(params=["one stack", "many stacks"])
def watched(request: pytest.FixtureRequest, scope: Scope) -> Watched:
    """The stack *scope* alone, or all stacks of its project whose names begin like it."""
    if request.param == "one stack":
        return scope
    return StackSelection(scope.project_id, StackPatterns.of(["none", f"{scope.stack}*"]))


def of(watched: Watched, wanted: Filter = ALL) -> Filter:
    return replace(wanted, many=isinstance(watched, StackSelection))


def stream(
    worker: Worker,
    watched: Watched,
    since: Cursor | None = None,
    *,
    initial: bool = False,
    wanted: Filter = ALL,
    reset: bool = True,
) -> Iterator[Frame]:
    frames = worker.watch.stream(watched, since, initial, of(watched, wanted), reset)
    return (frame for frame in frames if not isinstance(frame, PingFrame))


def changes(frame: Frame) -> list[str]:
    assert isinstance(frame, ChangeFrame), frame
    assert frame.cursor.revision == frame.events[0].revision
    return [f"{change.type} {change.path}" for change in frame.events[0].changes]


def paths(frame: Frame) -> list[str]:
    assert isinstance(frame, SnapshotFrame), frame
    return [fact.path for fact in frame.facts]


def polled(worker: Worker, watched: Watched, since: Cursor | None, upto: int) -> list[int]:
    """Return the revisions of all events up to one that is known to exist."""
    found: list[int] = []
    while since is None or since.revision < upto:
        answer = worker.watch.poll(watched, since, 10, of(watched))
        found += [event.revision for event in answer.events]
        since = answer.next
    return found


# Long polls


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
    eventually(lambda: worker.hub.revision >= other)
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


# Streams


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
    _check_reset(next(frames))
    assert paths(next(frames)) == ["a"]
    bookmark = next(frames)
    assert isinstance(bookmark, BookmarkFrame)
    late.put(scope, "b")
    assert changes(next(frames)) == ["fact.put b"]
    for cursor in (Cursor("0" * 16, 1), start._replace(revision=last + 1000)):
        _check_reset(next(stream(late, watched, cursor)))


def _check_reset(frame: Frame) -> None:
    """Check that a frame tells the reader to use the snapshot, not to list."""
    assert isinstance(frame, ResetFrame)
    assert frame.detail.endswith(f"; {SNAPSHOT_FOLLOWS}.")
    assert LIST_AGAIN not in frame.detail


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
    eventually(lambda: worker.hub.revision >= last)
    rest = list(frames)
    assert isinstance(rest[-1], GoodbyeFrame)
    assert [frame for frame in rest if isinstance(frame, ChangeFrame)] == [], "a gap was not told"
    _check_reset(next(stream(worker, watched, seen.cursor)))


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


# Snapshots


def names(frames: Iterator[Frame]) -> list[list[str]]:
    """Return the paths and names in each frame of a snapshot, up to its end."""
    found = []
    for frame in frames:
        if isinstance(frame, SnapshotFrame):
            members = [member.name for member in frame.members]
            found.append([*paths(frame), *members, *(waiter.name for waiter, _ in frame.waiters)])
        elif isinstance(frame, BookmarkFrame):
            return found
    raise AssertionError("the snapshot has no end")


def populate(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "nodes/c1/ip")
    worker.put(scope, "size")
    join(worker, scope, "c1", "compute")
    join(worker, scope, "h1", "head")
    arm(worker, scope, "up", success={"facts": "size", "equals": 2})


def test_a_snapshot_has_the_facts_members_and_waiters(
    world: World, worker: Worker, scope: Scope
) -> None:
    populate(worker, scope)
    other = world.worker()
    (frame, end) = itertools.islice(stream(other, scope, initial=True), 2)
    assert isinstance(frame, SnapshotFrame)
    assert paths(frame) == ["nodes/c1/ip", "size"]
    assert [member.name for member in frame.members] == ["c1", "h1"]
    ((waiter, progress),) = frame.waiters
    assert (waiter.name, waiter.state, progress.missing) == ("up", "pending", ("size",))
    assert isinstance(end, BookmarkFrame)


def test_a_reset_is_followed_by_the_whole_snapshot(worker: Worker, scope: Scope) -> None:
    populate(worker, scope)
    frames = stream(worker, scope, Cursor("0" * 16, 1))
    assert isinstance(next(frames), ResetFrame)
    assert names(frames) == [["nodes/c1/ip", "size", "c1", "h1", "up"]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(("nodes",)), ["nodes/c1/ip"]),
        (Filter(("nodes",), groups=("compute",)), ["nodes/c1/ip", "c1"]),
        (Filter(groups=("head",)), ["nodes/c1/ip", "size", "h1", "up"]),
        (Filter((), frozenset({"fact.put"})), ["nodes/c1/ip", "size"]),
        (Filter(("size",), frozenset({"fact.put", "member.join"})), ["size", "c1", "h1"]),
        (Filter((), frozenset({"member.expire"}), groups=("head",)), ["h1"]),
        (Filter((), frozenset({"waiter.met"})), ["up"]),
    ],
)
def test_a_snapshot_has_what_the_filter_requests(
    worker: Worker, scope: Scope, wanted: Filter, expected: list[str]
) -> None:
    populate(worker, scope)
    assert names(stream(worker, scope, initial=True, wanted=wanted)) == [expected]


def test_the_parts_of_a_snapshot_share_frames_up_to_their_limit(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factstore.core.services.watch_snapshot.SNAPSHOT_ITEMS", 3)
    populate(worker, scope)
    found = names(stream(worker, scope, initial=True))
    assert found == [["nodes/c1/ip", "size", "c1"], ["h1", "up"]]


def test_one_stream_carries_a_folder_and_the_members_of_a_group(
    world: World, worker: Worker, scope: Scope
) -> None:
    populate(worker, scope)
    first = worker.put(scope, "results/x").revision
    other = world.worker()
    other.put(scope, "nodes/c1/ip", 2)
    other.put(scope, "size", 2)
    other.members.set_state(scope, "h1", "ready", None, author())
    other.members.set_state(scope, "c1", "ready", None, author())
    last = other.put(scope, "nodes/c1/ip", 3).revision
    eventually(lambda: worker.hub.revision >= last)
    wanted = Filter(("nodes",), groups=("compute",))
    answer = worker.watch.poll(scope, worker.cursor(first), 0, wanted)
    assert [change.type for event in answer.events for change in event.changes] == [
        *("fact.put", "member.change", "fact.put")
    ]
