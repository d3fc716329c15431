"""A watch that waits keeps nothing of what it has received: at the start, that are many megabytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from factstore.core.errors import Unavailable
from factstore.store.client import loop_stream
from factstore.store.client import messages as rpc
from factstore.store.client.loop_stream import LoopWatch
from factstore.store.client.watch_stream import WatchStream
from factstore.store.types import WatchEvent


def response(revision: int) -> Any:
    found = rpc.WatchResponse()
    for number in range(3):
        kv = found.events.add().kv
        kv.key, kv.value, kv.mod_revision = b"k%d" % number, b"v", revision
    return found


class Watch(WatchStream):
    """A watch of two responses."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.kept: list[int] = []

    def _answers(self) -> Iterator[Any]:
        for revision in (5, 6):
            made = [response(revision)]
            before = sys.getrefcount(made[0])
            yield made[0]
            self.kept.append(sys.getrefcount(made[0]) - before)

    def close(self) -> None:
        self.closed = True


class Queue:
    """The messages, whose references are counted whenever the next one is awaited."""

    def __init__(self) -> None:
        self.messages = [response(revision).SerializeToString() for revision in (5, 6)]
        self.before = sys.getrefcount(self.messages[0])
        self.taken = 0
        self.kept: list[int] = []

    def put(self, message: bytes) -> None:
        """Receive nothing."""

    def get(self) -> bytes | None:
        for number in range(self.taken):
            self.kept.append(sys.getrefcount(self.messages[number]) - self.before)
        self.taken += 1
        return self.messages[self.taken - 1] if self.taken <= len(self.messages) else None


class Opened:
    """An open stream."""

    def take(self, size: int) -> None: ...

    def close(self) -> None: ...


def revisions(watch: WatchStream) -> list[int]:
    found: list[list[WatchEvent]] = []
    with pytest.raises(Unavailable):
        found.extend(watch)
    return [events[0].item.revision for events in found]


def test_a_watch_keeps_no_response_while_it_waits() -> None:
    watch = Watch()
    assert revisions(watch) == [5, 6]
    assert watch.kept == [0, 0]


def test_a_watch_in_the_loop_keeps_no_message_while_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue()
    monkeypatch.setattr(loop_stream, "SimpleQueue", lambda: queue)
    watch = LoopWatch(lambda received: Opened(), lambda: None, lambda: None)  # type: ignore[arg-type,return-value]
    assert revisions(watch) == [5, 6]
    assert set(queue.kept) == {0}
