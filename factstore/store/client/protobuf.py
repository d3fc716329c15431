"""Conversion of messages of etcd to the types of the client."""

from __future__ import annotations

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


def watch_event(event: Any) -> WatchEvent:
    """Return an event of a watch."""
    return _new(WatchEvent, (key_value(event.kv), event.type == 1))
