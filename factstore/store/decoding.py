"""From keys and records to what they mean for the state."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from factstore.core.model.event import (
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PassGate,
    PutFact,
    PutRecord,
    PutStack,
)
from factstore.core.model.fact import Scope
from factstore.store import codec
from factstore.store.keyspace import Keyspace
from factstore.store.types import WatchEvent

LOG = logging.getLogger(__name__)


class Decoder:
    """Reads what a keyspace holds."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keys = keyspace

    def mutations(self, events: Iterable[WatchEvent]) -> Iterator[Mutation]:
        """Those of the events that mean something, in order."""
        for event in events:
            mutation = self.mutation(event)
            if mutation is not None:
                yield mutation

    def mutation(self, event: WatchEvent) -> Mutation | None:
        """What an event means; None for bookkeeping, and, with a line in the log, for junk."""
        key, value, created, revision, version, lease = event.item
        try:
            named = self._keys.read(key)
            if named is None:
                return None
            if named.what == "fact":
                if event.deleted:
                    return DropFact(named.stack_id, named.name)
                fact = codec.decode_fact(
                    value, named.name, revision=revision, version=version, lease=lease
                )
                return PutFact(named.stack_id, fact)
            if named.record_key is not None:
                if event.deleted:
                    return DropRecord(named.stack_id, named.record_key)
                record = codec.decode_record(
                    value, named.record_key, revision=revision, lease=lease
                )
                return PutRecord(named.stack_id, record)
            if named.what == "stack":
                if event.deleted:
                    return DropStack(Scope(named.owner, named.name))
                stack = codec.decode_stack(
                    value, named.owner, named.name, revision=revision, created=created
                )
                return PutStack(stack)
            if named.what == "gate":
                return PassGate(named.owner, 0 if event.deleted else revision)
            return None if event.deleted else codec.decode_act(value)
        except (codec.UnknownFormat, UnicodeDecodeError) as error:
            LOG.error("key %r is ignored: %s", key, error)
            return None
