"""The events of a response to a watch are those of its revisions, one after the other."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.store.client import messages as rpc
from factstore.store.client.protobuf import revisions
from factstore.store.types import KeyValue, WatchEvent


@given(st.lists(st.sampled_from([1, 1, 2, 3, 8, 33]), max_size=5))
def test_each_revision_has_its_events_in_their_order(sizes: list[int]) -> None:
    numbers = [5 + 2 * at for at, size in enumerate(sizes) for _ in range(size)]
    expected = [
        WatchEvent(KeyValue(b"k%d" % at, b"v", revision - 1, revision, at + 1, at), at % 3 == 0)
        for at, revision in enumerate(numbers)
    ]
    answer = rpc.WatchResponse()
    for item, deleted in expected:
        event = answer.events.add(type=int(deleted))
        event.kv.key, event.kv.value, event.kv.version = item.key, item.value, item.version
        event.kv.create_revision, event.kv.mod_revision = item.created, item.revision
        event.kv.lease = item.lease
    found = list(revisions(answer.events))
    by_revision = groupby(expected, key=lambda event: event.item.revision)
    assert [list(each) for each in found] == [list(each) for _, each in by_revision]
    for each in found:
        assert [each[at] for at in range(len(each))] == list(each)
        with pytest.raises(IndexError):
            each[len(each)]
