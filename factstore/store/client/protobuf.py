"""Conversion of messages of etcd to the types of the client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from factstore.store.types import KeyValue, WatchEvent

_new = tuple.__new__


def key_value(kv: Any) -> KeyValue:
    """Return a stored key."""
    # In half of the time of KeyValue(...): a worker makes one for each change.
    return _new(
        KeyValue,
        (kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease),
    )


def revisions(events: Iterable[Any]) -> Iterator[list[WatchEvent]]:
    """Yield the events of a watch, those of each revision together."""
    found: list[WatchEvent] = []
    current = 0
    for event in events:
        kv = event.kv
        revision = kv.mod_revision
        if revision != current:
            if found:
                yield found
                found = []
            current = revision
        item = (kv.key, kv.value, kv.create_revision, revision, kv.version, kv.lease)
        found.append(_new(WatchEvent, (_new(KeyValue, item), event.type == 1)))
    if found:
        yield found
