"""Conversion of messages of etcd to the types of the client."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from factstore.store.types import KeyFields, KeyValue, WatchEvent

_new = tuple.__new__
_EVERY = 17  # a prime, because stacks often repeat the same facts of different sizes


def key_value(kv: Any) -> KeyValue:
    """Return a stored key."""
    # In half of the time of KeyValue(...): a worker makes one for each change.
    return _new(
        KeyValue,
        (kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease),
    )


class KeyPage:
    """The stored keys of a response, for a worker that starts and reads very many.

    It yields their fields, which takes half of the time that a :class:`KeyValue` for each would take.
    """

    __slots__ = ("_kvs",)

    def __init__(self, kvs: Sequence[Any]) -> None:
        self._kvs = kvs

    def __len__(self) -> int:
        return len(self._kvs)

    def __iter__(self) -> Iterator[KeyFields]:
        for kv in self._kvs:
            yield (
                kv.key,
                kv.value,
                kv.create_revision,
                kv.mod_revision,
                kv.version,
                kv.lease,
            )

    @property
    def last_key(self) -> bytes:
        """The last key of the page, which must not be empty."""
        key: bytes = self._kvs[-1].key
        return key

    def value_bytes(self) -> int:
        """Return the size of all values together, estimated from some of them."""
        # Each value that is looked at takes half of a microsecond, and a start reads very many.
        some = self._kvs[::_EVERY]
        return sum([len(kv.value) for kv in some]) * len(self._kvs) // max(1, len(some))


class RevisionEvents(Sequence[WatchEvent]):
    """The events of one revision, each of which is converted when it is read.

    :param events: those of a response.
    :param start: the number of the first one of the revision.
    :param end: the number of the first one after it.
    """

    __slots__ = ("_end", "_events", "_start")

    def __init__(self, events: Sequence[Any], start: int, end: int) -> None:
        self._events = events
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, at: Any) -> Any:
        at += self._start
        if at >= self._end:
            raise IndexError(at)
        return _watch_event(self._events[at])

    def __iter__(self) -> Iterator[WatchEvent]:
        return map(_watch_event, self._events[self._start : self._end])


def _watch_event(event: Any) -> WatchEvent:
    return _new(WatchEvent, (key_value(event.kv), event.type == 1))


def revisions(events: Sequence[Any]) -> Iterator[RevisionEvents]:
    """Yield the events of a response to a watch, those of each revision together."""
    start, count = 0, len(events)
    while start < count:
        end = _end(events, start, count)
        yield RevisionEvents(events, start, end)
        start = end


def _end(events: Sequence[Any], start: int, count: int) -> int:
    """Return the number of the first event after the revision of one, which often has few or all."""
    revision, step = events[start].kv.mod_revision, 1
    if events[-1].kv.mod_revision == revision:
        return count
    while (end := start + step) < count and events[end].kv.mod_revision == revision:
        start, step = end, 2 * step
    return bisect_left(
        events, True, start + 1, min(end, count), key=lambda each: each.kv.mod_revision != revision
    )
