"""Decoding keys and values into mutations of the state."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from factstore.core.history_store import KnownFact
from factstore.core.model.event import (
    DropFact,
    DropRecord,
    DropStack,
    Loaded,
    Mutation,
    PutFact,
    PutFacts,
    PutRecord,
    PutStack,
)
from factstore.core.model.fact import Fact, Scope
from factstore.store import codec
from factstore.store.fact_line import shared
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import OwnFacts
from factstore.store.types import KeyFields, KeyValue, WatchEvent

LOG = logging.getLogger(__name__)

RUN = 256  # facts that are loaded together, while nothing else can run
_IGNORED = "key %r is ignored: %s"


class Decoder:
    """Decodes the keys and values of a keyspace.

    :param own: facts that this process has written, which need not be decoded.
    :param known: other facts that need not be decoded again, if they have not changed since.
    """

    def __init__(
        self, keyspace: Keyspace, own: OwnFacts | None = None, known: KnownFact | None = None
    ) -> None:
        self._keys = keyspace
        self._own = own or OwnFacts()
        self._known = known
        self._decode_fact = codec.decode_fact if known is None else self._known_or_decoded
        # The folder of the last fact, with the id of its stack: others follow, and a start reads many.
        self._folder = b"\0", ""

    def contents(self, items: Iterable[KeyFields]) -> Iterator[Loaded]:
        """Yield the mutations that put stored keys, nearly all of which are facts, in their order."""
        folder, stack_id = self._folder
        run: list[Fact] = []
        length, last, decode = len(folder), 0, self._decode_fact
        for key, value, created, revision, version, lease in items:
            if not key.startswith(folder):
                if run:
                    yield PutFacts(stack_id, run)
                    run = []
                item = KeyValue(key, value, created, revision, version, lease)
                mutation = self.mutation(WatchEvent(item, False))
                folder, stack_id = self._folder
                length = len(folder)
                if isinstance(mutation, PutFact):  # the first one of its folder
                    run.append(mutation.fact)
                elif mutation is not None:
                    yield mutation
                continue
            if len(run) == RUN:
                yield PutFacts(stack_id, run)
                run = []
            if revision == last:
                revision = last  # those that were written at once share one number
            else:
                revision = last = shared(revision)
            try:  # as in :meth:`mutation`, but a worker that starts decodes very many
                path = key[length:].decode()
                fact = decode(value, path, revision, version, lease, created)
            except (codec.UnknownFormat, UnicodeDecodeError) as error:
                LOG.error(_IGNORED, key, error)
            else:
                run.append(fact)
        if run:
            yield PutFacts(stack_id, run)

    def mutations(self, events: Iterable[WatchEvent]) -> list[Mutation]:
        """Return the mutations that events stand for, in their order."""
        return [found for event in events if (found := self.mutation(event)) is not None]

    def reported(self, events: Sequence[WatchEvent]) -> list[Mutation]:
        """Return the mutations that the events of a revision stand for, in their order."""
        found: list[Mutation] = []
        at, count, take = 0, len(events), self._own.take
        while at < count:
            event = events[at]
            written = take(event, at, events)
            if written is not None:
                found += written
                at += len(written)
                continue
            mutation = self.mutation(event)
            if mutation is not None:
                found.append(mutation)
            at += 1
        return found

    def mutation(self, event: WatchEvent) -> Mutation | None:
        """Return the mutation, or None for a key that is not part of the state or cannot be decoded."""
        key, value, created, revision, version, lease = event.item
        revision = shared(revision)  # facts that are decoded together were often written at once
        folder, stack_id = self._folder
        try:
            if key.startswith(folder) and not event.deleted:
                path = key[len(folder) :].decode()
                fact = self._decode_fact(value, path, revision, version, lease, created)
                return PutFact(stack_id, fact)
            parsed = self._keys.parse(key)
            if parsed is None:
                return None
            if parsed.type == "fact":
                stack_id, path = parsed.stack_id, parsed.name
                if event.deleted:
                    return DropFact(stack_id, path)
                self._folder = key[: -len(path.encode())], stack_id
                fact = self._decode_fact(value, path, revision, version, lease, created)
                return PutFact(stack_id, fact)
            if parsed.record_key is not None:
                if event.deleted:
                    return DropRecord(parsed.stack_id, parsed.record_key)
                record = codec.decode_record(
                    value, parsed.record_key, revision=revision, lease=lease
                )
                return PutRecord(parsed.stack_id, record)
            if parsed.type == "stack":
                if event.deleted:
                    return DropStack(Scope(parsed.project_id, parsed.name))
                stack = codec.decode_stack(
                    value, parsed.project_id, parsed.name, revision=revision, created=created
                )
                return PutStack(stack)
            return None if event.deleted else codec.decode_deletion_author(value)
        except (codec.UnknownFormat, UnicodeDecodeError) as error:
            LOG.error(_IGNORED, key, error)
            return None

    def _known_or_decoded(
        self, value: bytes, path: str, revision: int, version: int, lease: int, created: int
    ) -> Fact:
        """Return a fact of the present folder; see :func:`~factstore.store.codec.decode_fact`."""
        assert self._known is not None  # noqa: S101 - see __init__
        known = self._known(self._folder[1], path)
        if known is not None and known.revision == revision:
            return known
        return codec.decode_fact(value, path, revision, version, lease, created)
