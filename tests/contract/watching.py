"""Polls and streams of events, for tests on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from factstore.core.model.cursor import Cursor
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    ChangeFrame,
    Frame,
    PingFrame,
    SnapshotFrame,
)
from tests.contract.world import Worker

ALL = Filter()


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
