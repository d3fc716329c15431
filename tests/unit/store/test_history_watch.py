"""The parts in which a long history is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from factstore.core.errors import Unavailable
from factstore.store.client import WatchStream
from factstore.store.history_watch import PART, TOGETHER, HistoryWatch
from factstore.store.types import Compacted, KeyValue, WatchEvent

HEAD = 10 * PART


def event(revision: int) -> WatchEvent:
    return WatchEvent(KeyValue(b"k", b"v", 1, revision, 1, 0), False)


class Stream(WatchStream):
    """A watch that reports some revisions from its start, and then ends."""

    def __init__(self, start: int, revisions: range | list[int], end: Exception) -> None:
        super().__init__(lambda: None)
        self.start = start
        self.read: list[int] = []
        self._revisions = [revision for revision in revisions if revision >= start]
        self._end = end

    def __iter__(self) -> Iterator[list[WatchEvent]]:
        for revision in self._revisions:
            if self.closed:
                raise Unavailable("closed")
            self.read.append(revision)
            yield [event(revision), event(revision)]
        raise self._end

    def _answers(self) -> Iterator[object]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


class Etcd:
    """The watches that were opened; *refused* is the number of the first that is refused."""

    def __init__(self, revisions: range | list[int], refused: int = 1000) -> None:
        self.opened: list[Stream] = []
        self._revisions = revisions
        self._refused = refused
        self.end: Exception = Unavailable("the end")
        self.on_open: Callable[[], None] = lambda: None

    def watch(self, start: int) -> Stream:
        if len(self.opened) == self._refused:
            raise Unavailable("refused")
        self.opened.append(Stream(start, self._revisions, self.end))
        self.on_open()
        return self.opened[-1]

    @property
    def open(self) -> int:
        return sum(not stream.closed for stream in self.opened)


def read(watch: HistoryWatch, error: type[Exception] = Unavailable) -> list[int]:
    """Return the revisions until the watch ends, which has to report each of them whole."""
    found: list[int] = []
    with pytest.raises(error):
        found.extend(map(revision_of, watch))
    return found


def revision_of(events: list[WatchEvent]) -> int:
    assert len(events) == 2
    return events[0].item.revision


@pytest.mark.parametrize(
    "revisions",
    [
        range(1, HEAD + 100),
        range(1, HEAD, 7),
        [1, 2, HEAD - 1],
        [PART, PART + 1, 2 * PART, 2 * PART + 1],
        [3 * PART + 1, HEAD + 5],
        [],
    ],
)
def test_every_revision_is_reported_once_and_in_order(revisions: range | list[int]) -> None:
    for start in (1, 2, PART, PART + 1, HEAD - 1, HEAD + 1):
        etcd = Etcd(revisions)
        found = read(HistoryWatch(etcd.watch, start, HEAD))
        assert found == [revision for revision in revisions if revision >= start]
        assert etcd.open == 0


def test_the_parts_of_a_long_history_are_watched_together_and_little_is_read_twice() -> None:
    etcd = Etcd(range(1, HEAD + 1))
    watch = HistoryWatch(etcd.watch, 1, HEAD)
    assert [stream.start for stream in etcd.opened] == [1 + n * PART for n in range(TOGETHER)]
    for events in watch:
        assert etcd.open <= TOGETHER
        if events[0].item.revision == HEAD:
            break
    assert sum(len(stream.read) for stream in etcd.opened) == HEAD + len(etcd.opened) - 1


def test_a_short_history_has_one_watch() -> None:
    etcd = Etcd(range(HEAD))
    HistoryWatch(etcd.watch, HEAD - PART + 1, HEAD)
    assert len(etcd.opened) == 1


def test_the_end_of_one_part_ends_all() -> None:
    etcd = Etcd(range(1, PART // 2))
    etcd.end = Compacted(5)
    assert read(HistoryWatch(etcd.watch, 1, HEAD), Compacted) == list(range(1, PART // 2))
    assert etcd.open == 0


@pytest.mark.parametrize("refused", [1, TOGETHER - 1])
def test_a_part_that_cannot_be_opened_at_the_start_leaves_no_watch(refused: int) -> None:
    etcd = Etcd(range(1, HEAD), refused)
    with pytest.raises(Unavailable, match="refused"):
        HistoryWatch(etcd.watch, 1, HEAD)
    assert etcd.open == 0


def test_a_part_that_cannot_be_opened_later_ends_the_others_after_what_they_had() -> None:
    etcd = Etcd(range(1, HEAD), TOGETHER)
    assert read(HistoryWatch(etcd.watch, 1, HEAD)) == list(range(1, PART + 1))
    assert etcd.open == 0


def test_closing_ends_the_iteration_and_also_a_part_that_is_being_opened() -> None:
    etcd = Etcd(range(1, HEAD))
    watch = HistoryWatch(etcd.watch, 1, HEAD)
    etcd.on_open = watch.close
    assert read(watch) == list(range(1, PART + 1))
    assert etcd.open == 0
