"""The pages in which all contents of a store are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast
from unittest.mock import Mock

import pytest

from factstore.core.model.event import PutFacts
from factstore.store.client import EtcdClient, KeyPage
from factstore.store.client import messages as rpc
from factstore.store.codec import encode_fact
from factstore.store.decoding import RUN, Decoder
from factstore.store.keyspace import Keyspace
from factstore.store.past import PAGE, PAGE_BYTES, PAGE_LIMIT, PastReader
from factstore.store.read_ahead import read_ahead
from factstore.store.types import Compacted, KeyValue
from factstore.wsgi.runtime import Runtime
from tests.unit.core.factories import ManualClock, fact

KEYS = Keyspace("/factstore/v1")
PATIENCE = 60.0


class SortedKeys:
    """Calls of etcd's client on a list of keys, and the limits that they had."""

    def __init__(self, items: list[KeyValue]) -> None:
        self.items = items
        self.calls: list[tuple[int, int]] = []

    def page(self, start: bytes, end: bytes, *, limit: int, **others: Any) -> KeyPage:
        found = [item for item in self.items if start <= item.key < end][:limit]
        self.calls.append((limit, sum(len(item.value) for item in found)))
        answer = rpc.RangeResponse()
        for key, value, created, revision, version, lease in found:
            answer.kvs.add(
                key=key,
                value=value,
                create_revision=created,
                mod_revision=revision,
                version=version,
                lease=lease,
            )
        return KeyPage(answer.kvs)


def stored(count: int, size: int) -> SortedKeys:
    value = encode_fact(fact("p", "x" * size))
    keys = sorted(KEYS.fact("p", f"s{n % 3}", f"n{n}") for n in range(count))
    return SortedKeys([KeyValue(key, value, 1, 2, 1, 0) for key in keys])


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 9 * PAGE])
def test_everything_is_read_once_and_in_order(count: int) -> None:
    store = stored(count, 10)
    reader = PastReader(cast("EtcdClient", store), KEYS, Decoder(KEYS))
    read = reader.all(9, lambda: 0.0)
    runs = [m for m in read if isinstance(m, PutFacts)]
    assert max((len(run.facts) for run in runs), default=0) <= RUN
    found = [(run.stack_id, fact.path) for run in runs for fact in run.facts]
    assert found == sorted((f"s{n % 3}", f"n{n}") for n in range(count))


def test_pages_of_small_values_grow_and_those_of_large_ones_do_not() -> None:
    small, large = stored(40 * PAGE, 10), stored(3 * PAGE, 20_000)
    for store in (small, large):
        list(PastReader(cast("EtcdClient", store), KEYS, Decoder(KEYS)).all(9, lambda: 0.0))
    assert max(limit for limit, _ in small.calls) == PAGE_LIMIT
    assert max(limit for limit, _ in large.calls) == PAGE
    assert max(size for _, size in small.calls) < PAGE_BYTES


@pytest.mark.parametrize("count", [0, 1, 16, 17, 18, 500])
def test_the_size_of_a_page_of_equal_values_is_exact(count: int) -> None:
    page = stored(count, 10).page(b"", b"\xff", limit=count)
    assert len(page) == count
    assert page.value_bytes() == sum(len(item[1]) for item in page)


def test_the_next_page_is_read_while_the_last_one_is_used() -> None:
    begun = [threading.Event() for _ in range(4)]

    def pages() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    found = read_ahead(pages())
    assert next(found) == 0
    assert begun[1].wait(PATIENCE)
    assert not begun[2].is_set()
    assert list(found) == [1, 2, 3]


def test_a_fault_reaches_the_reader_behind_the_pages_before_it() -> None:
    def pages() -> Iterator[int]:
        yield 1
        raise Compacted(7)

    found = read_ahead(pages())
    assert next(found) == 1
    with pytest.raises(Compacted):
        next(found)


def test_a_reader_of_everything_is_known_to_read_until_the_end_or_a_failure() -> None:
    reader = PastReader(cast("EtcdClient", stored(3, 10)), KEYS, Decoder(KEYS))
    read = reader.all(9, lambda: 0.0)
    assert not reader.reading
    next(read)
    assert reader.reading
    assert len(list(read)) == 2
    assert not reader.reading
    read = reader.all(9, lambda: 0.0)
    next(read)
    read.close()  # type: ignore[attr-defined]
    assert not reader.reading


@pytest.mark.parametrize(("reading", "waits"), [(True, 2), (False, 1)])
def test_a_worker_waits_longer_for_a_store_that_is_being_read(reading: bool, waits: int) -> None:
    runtime = Mock(backend=Mock(reading=reading), clock=ManualClock())
    runtime.pump.wait_ready.side_effect = [False, True]
    assert Runtime.catch_up(runtime, 5.0) is reading
    assert runtime.pump.wait_ready.call_count == waits
