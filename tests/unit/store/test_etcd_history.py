"""Following the store, with scripted responses of etcd."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from factstore.core.errors import CursorExpired, Unavailable
from factstore.store.etcd_history import EtcdHistory
from factstore.store.head import Head
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import OwnFacts
from factstore.store.types import Compacted, KeyValue, RangeResult, WatchEvent

KEYS = Keyspace("/factstore/v1")
STORE_ID = b"ab" * 16


class Stream:
    """A watch that reports one revision, and then is closed or has an error."""

    def __init__(self) -> None:
        self.closed = False
        self.error: Exception = Unavailable("the watch was closed")

    def __iter__(self) -> Iterator[list[WatchEvent]]:
        yield [WatchEvent(KeyValue(KEYS.sentinel, b"", 1, 8, 1, 0), deleted=False)]
        raise self.error

    def close(self) -> None:
        self.closed = True


class Etcd:
    """The calls of an etcd at revision 7."""

    def __init__(self) -> None:
        self.compacted = 0
        self.store_id = STORE_ID
        self.streams: list[Stream] = []
        self.preferred_next = 0
        self.loop = Mock()

    def get(self, key: bytes, *args: object, **options: object) -> RangeResult:
        return RangeResult([KeyValue(key, self.store_id, 1, 7, 1, 0)], 7, 1)

    def is_compacted(self, key: bytes, revision: int, deadline: float) -> bool:
        return revision < self.compacted

    def watch(self, start: bytes, end: bytes, revision: int) -> Stream:
        self.streams.append(Stream())
        return self.streams[-1]

    def prefer_next(self) -> None:
        self.preferred_next += 1


@pytest.fixture
def etcd() -> Etcd:
    return Etcd()


@pytest.fixture
def history(etcd: Etcd) -> EtcdHistory:
    head = Head(Mock(wraps=etcd), KEYS)
    head.opened = STORE_ID, "epoch"
    return EtcdHistory(etcd, KEYS, head, OwnFacts(), 100, lambda: 0.0)  # type: ignore[arg-type]


def test_a_revision_that_was_compacted_is_refused_and_its_watch_closed(
    history: EtcdHistory, etcd: Etcd
) -> None:
    etcd.compacted = 6
    with pytest.raises(CursorExpired, match="compacted"):
        history.follow(5)
    assert [stream.closed for stream in etcd.streams] == [True]
    # The compacted revision itself is followed: nothing after it is lost.
    assert next(history.follow(6)).revision == 8


def test_the_watch_is_opened_with_the_store_and_not_once_more(
    history: EtcdHistory, etcd: Etcd
) -> None:
    opening = history.open(recent=True)
    etcd.loop.connect_soon.assert_called_once_with()
    assert len(etcd.streams) == 1
    assert next(history.follow(opening.revision)).revision == 8
    assert len(etcd.streams) == 1


def test_a_watch_that_ends_is_closed_and_reports_why(history: EtcdHistory, etcd: Etcd) -> None:
    steps = history.follow(7)
    etcd.streams[-1].error = Compacted("at 9")
    assert next(steps).revision == 8
    with pytest.raises(CursorExpired, match="at 9"):
        next(steps)
    assert etcd.streams[-1].closed


def test_no_step_of_another_store_is_followed(history: EtcdHistory, etcd: Etcd) -> None:
    steps = history.follow(7)
    etcd.store_id = b"cd" * 16  # and the watch was opened in that store
    with pytest.raises(CursorExpired, match="replaced"):
        next(steps)
    assert etcd.streams[-1].closed


def test_a_store_that_is_older_than_before_is_not_watched(history: EtcdHistory, etcd: Etcd) -> None:
    with pytest.raises(CursorExpired, match="restored or replaced"):
        history.follow(9)
    assert etcd.streams == []


def test_a_replaced_store_interrupts_the_watch_and_another_member_is_asked(
    history: EtcdHistory, etcd: Etcd
) -> None:
    history.follow(7)
    etcd.store_id = b"cd" * 16
    with pytest.raises(CursorExpired, match="replaced"):
        history.head(0.0)
    assert etcd.streams[-1].closed
    assert etcd.preferred_next == 1
