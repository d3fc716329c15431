from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.store.client import messages as rpc
from factstore.store.client import watch_parts
from factstore.store.client.watch_parts import parts_of

PART = 500
SIZES = st.sampled_from([0, 1, 100, 130, PART, 20_000])


@pytest.fixture(autouse=True, scope="module")
def short_parts() -> Any:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(watch_parts, "PART_BYTES", PART)
        yield


def response(changes: list[tuple[int, int]]) -> Any:
    """Return a response with events, each with a revision and the size of its value."""
    found = rpc.WatchResponse(watch_id=300, created=True, cancel_reason="none")
    found.header.revision = 10**12
    for number, (revision, size) in enumerate(changes):
        event = found.events.add()
        event.type = number % 2
        event.kv.key, event.kv.value, event.kv.mod_revision = b"k%d" % number, b"v" * size, revision
    return found


@given(
    st.lists(st.tuples(st.integers(1, 6), SIZES), max_size=60), st.sampled_from([bytes, bytearray])
)
def test_the_parts_of_a_response_have_all_its_events_and_whole_revisions(
    changes: list[tuple[int, int]], kind: type[bytes] | type[bytearray]
) -> None:
    whole = response(sorted(changes, key=lambda change: change[0]))
    parts = [
        rpc.WatchResponse.FromString(part) for part in parts_of(kind(whole.SerializeToString()))
    ]
    assert [event for part in parts for event in part.events] == list(whole.events)
    revisions = [
        revision for part in parts for revision in {e.kv.mod_revision for e in part.events}
    ]
    assert len(revisions) == len(set(revisions))
    (first, *others) = parts
    assert (first.header, first.watch_id, first.created) == (whole.header, 300, True)
    assert not any(part.created or part.canceled or part.compact_revision for part in others)
    longest = max(
        (
            sum(e.ByteSize() + 10 for e in found)
            for _, found in groupby(whole.events, key=lambda e: e.kv.mod_revision)
        ),
        default=0,
    )
    assert all(part.ByteSize() <= 2 * PART + longest + 40 for part in parts)
    assert len(parts) == 1 or whole.ByteSize() > 2 * PART


def test_a_long_response_is_divided() -> None:
    whole = response([(revision, 100) for revision in range(1000)])
    parts = list(parts_of(whole.SerializeToString()))
    assert len(parts) > whole.ByteSize() // (2 * PART)


def test_a_response_of_a_later_etcd_with_fields_behind_the_events_is_read() -> None:
    whole = response([(revision, 100) for revision in range(20)])
    unknown = b"\x78\x01" + b"\x0d\0\0\0\0" * 300  # a number, and a kind that etcd does not use
    message = whole.SerializeToString() + unknown
    parts = [rpc.WatchResponse.FromString(part) for part in parts_of(message)]
    assert [event for part in parts for event in part.events] == list(whole.events)
