"""The watch of the steps, which is opened before the contents are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from factstore.core.errors import CursorExpired, Unavailable
from factstore.store.client import EtcdClient, WatchStream
from factstore.store.decoding import Decoder
from factstore.store.earlier_receipts import EarlierReceipts
from factstore.store.keyspace import Keyspace
from factstore.store.steps import StepReader
from factstore.store.types import KeyValue, WatchEvent

KEYS = Keyspace("/factstore/v1")
HEAD = 9


class Stream(WatchStream):
    """A watch that reports a change at each revision until the newest one, and then ends."""

    def __init__(self, start: int) -> None:
        super().__init__(lambda: None)
        self.start = start

    def __iter__(self) -> Iterator[list[WatchEvent]]:
        for revision in range(self.start, HEAD + 1):
            if self.closed:
                break
            yield [WatchEvent(KeyValue(KEYS.epoch, b"v", 1, revision, 1, 0), False)]
        raise Unavailable("the watch has ended")

    def _answers(self) -> Iterator[object]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


class Etcd:
    """The client's calls that find out what is compacted, and its watches."""

    def __init__(self, compacted: int = 0) -> None:
        self.compacted = compacted
        self.asked = 0
        self.watches: list[Stream] = []

    def watch(self, key: bytes, end: bytes, start: int) -> Stream:
        self.watches.append(Stream(start))
        return self.watches[-1]

    def is_compacted(self, key: bytes, revision: int, deadline: float) -> bool:
        assert revision > 0, "etcd would take it for the newest one"
        return revision < self.compacted

    def compacted_revision(self, existing: bytes) -> int:
        self.asked += 1
        return self.compacted

    def reader(self) -> StepReader:
        client = cast("EtcdClient", self)
        return StepReader(client, KEYS, Decoder(KEYS), lambda: 0.0, EarlierReceipts(client, KEYS))


def revisions(reader: StepReader, after: int) -> list[int]:
    found: list[int] = []
    with pytest.raises(Unavailable):
        found.extend(step.revision for step in reader.read(after, HEAD))
    return found


def test_the_watch_that_was_opened_before_is_read_once() -> None:
    etcd = Etcd()
    reader = etcd.reader()
    reader.open(5, 5)  # when this was the newest revision
    assert revisions(reader, 5) == [6, 7, 8, 9]
    assert [watch.start for watch in etcd.watches] == [6]
    assert revisions(reader, 5) == [6, 7, 8, 9]
    assert [watch.start for watch in etcd.watches] == [6, 6]
    assert all(watch.closed for watch in etcd.watches)


def test_a_watch_that_is_not_read_is_closed() -> None:
    etcd = Etcd()
    reader = etcd.reader()
    reader.open(5, HEAD)
    reader.open(6, HEAD)
    assert [watch.closed for watch in etcd.watches] == [True, False]
    assert revisions(reader, 7) == [8, 9]
    assert [(watch.start, watch.closed) for watch in etcd.watches[1:]] == [(7, True), (8, True)]


def test_an_interruption_ends_a_watch_before_it_is_read_and_meanwhile() -> None:
    reader = Etcd().reader()
    reader.open(5, HEAD)
    reader.interrupt()
    assert revisions(reader, 5) == []
    steps = reader.read(5, HEAD)
    assert next(steps).revision == 6
    reader.interrupt()
    with pytest.raises(Unavailable):
        next(steps)


@pytest.mark.parametrize("opened", [True, False])
def test_a_compacted_revision_is_not_followed(opened: bool) -> None:
    etcd = Etcd(compacted=7)
    reader = etcd.reader()
    if opened:
        reader.open(6, HEAD)
    with pytest.raises(CursorExpired):
        reader.read(6, HEAD)
    assert [watch.closed for watch in etcd.watches] == [True]
    assert revisions(reader, 7) == [8, 9]


def test_etcd_is_not_asked_for_its_history_unless_a_revision_is_compacted() -> None:
    etcd = Etcd()
    reader = etcd.reader()
    assert [reader.compacted_after(revision) for revision in (0, 1, HEAD)] == [0, 0, 0]
    assert revisions(reader, 0)[0] == 1
    etcd.compacted = 5
    assert [reader.compacted_after(revision) for revision in (5, HEAD)] == [0, 0]
    assert etcd.asked == 0
    assert [reader.compacted_after(revision) for revision in (0, 4)] == [5, 5]
