"""The records in etcd that can be opened only with sealing keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Stack
from factstore.core.model.subscription import Subscription
from factstore.store import codec
from factstore.store.fsck.reader import StoreReader
from factstore.store.keyspace import Keyspace
from factstore.store.types import KeyValue


class SealedRecords(NamedTuple):
    """All records of a store that can be opened only with sealing keys."""

    data_keys: list[tuple[Stack, DataKey]]
    subscriptions: list[tuple[str, Subscription]]
    """With their projects."""


def read_sealed_records(reader: StoreReader, keys: Keyspace) -> SealedRecords:
    """Return the records in the store. Raises FactstoreError if etcd does not answer."""
    found, _ = reader.read(
        [keys.all_stacks, keys.all_data], lambda items: list(_data_keys(items, keys))
    )
    subscriptions, _ = reader.read(
        keys.all_unnamed, lambda items: list(_sealed_subscriptions(items, keys))
    )
    return SealedRecords(found, subscriptions)


def _data_keys(items: Iterable[KeyValue], keys: Keyspace) -> Iterator[tuple[Stack, DataKey]]:
    """Yield each stack that has a data key, with the key; unreadable records are left out."""
    stacks: dict[tuple[str, str], Stack] = {}
    for item in items:
        parsed = keys.parse(item.key)
        try:
            if parsed is None:
                continue
            if parsed.type == "stack":
                stack = codec.decode_stack(
                    item.value, parsed.project_id, parsed.name, revision=0, created=0
                )
                stacks[stack.project_id, stack.id] = stack
            elif parsed.type == "record" and parsed.record_key == DATA_KEY:
                record = codec.decode_record(item.value, DATA_KEY, revision=0, lease=0)
                owner = stacks.get((parsed.project_id, parsed.stack_id))
                if owner is not None and isinstance(record, DataKey):
                    yield owner, record
        except ValueError:  # check_records reports it
            continue


def _sealed_subscriptions(
    items: Iterable[KeyValue], keys: Keyspace
) -> Iterator[tuple[str, Subscription]]:
    """Yield each subscription with sealed secrets, and its project; unreadable ones are left out."""
    for item in items:
        parsed = keys.parse(item.key)
        key = parsed.record_key if parsed is not None else None
        if parsed is None or key is None or key.kind is not Subscription:
            continue
        with suppress(codec.UnknownFormat):  # check_records reports it
            record = codec.decode_record(item.value, key, revision=0, lease=0)
            if isinstance(record, Subscription) and record.wrapped_key:
                yield parsed.project_id, record
