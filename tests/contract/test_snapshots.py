"""Snapshots at the beginning of streams, on every backend."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    Frame,
    ResetFrame,
    SnapshotFrame,
)
from tests.contract.membership import join
from tests.contract.waiting import arm
from tests.contract.watching import paths, stream
from tests.contract.world import Worker, World, author
from tests.eventually import eventually


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
    eventually(lambda: worker.hub.cursor.revision >= last)
    wanted = Filter(("nodes",), groups=("compute",))
    answer = worker.watch.poll(scope, worker.cursor(first), 0, wanted)
    assert [change.type for event in answer.events for change in event.changes] == [
        *("fact.put", "member.change", "fact.put")
    ]
