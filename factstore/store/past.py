"""Reads of past revisions: of all contents, or of the pages of a list that show one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from factstore.core.errors import CursorExpired
from factstore.core.model.event import Loaded, PutFact, PutRecord, PutStack
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.record import R
from factstore.store.client import EtcdClient, KeyPage
from factstore.store.decoding import Decoder
from factstore.store.keyspace import Keyspace
from factstore.store.read_ahead import read_ahead
from factstore.store.types import Compacted, KeyValue, WatchEvent

PAGE = 500  # keys read in one call
PAGE_BYTES = 4 * 1024 * 1024  # of values in one call, if there are more keys than that
PAGE_LIMIT = 32 * PAGE


class PastReader:
    """Reads facts, stacks and records at a revision.

    The methods for pages raise CursorExpired if etcd has compacted the revision.

    :ivar reading: True while :meth:`all` is reading, and etcd has answered.
    """

    def __init__(self, client: EtcdClient, keyspace: Keyspace, decoder: Decoder) -> None:
        self._client = client
        self._keys = keyspace
        self._decoder = decoder
        self.reading = False

    def all(self, revision: int, deadline: Callable[[], float]) -> Iterator[Loaded]:
        """Yield everything at a revision, as mutations that put it.

        :param deadline: returns the deadline of a call.
        :raises CursorExpired: etcd has compacted the revision.
        """
        try:
            for found in read_ahead(self._pages(revision, deadline)):
                self.reading = True
                yield from self._decoder.contents(found)
        except Compacted as error:
            raise CursorExpired(f"etcd has compacted the history: {error}") from error
        finally:
            self.reading = False

    def _pages(self, revision: int, deadline: Callable[[], float]) -> Iterator[KeyPage]:
        """Yield all keys at a revision."""
        for start, end in (self._keys.all_stacks, self._keys.all_data, *self._keys.all_unnamed):
            limit = PAGE
            while True:
                found = self._client.page(
                    start, end, revision=revision, limit=limit, deadline=deadline()
                )
                yield found
                if len(found) < limit:
                    break
                start = found.last_key + b"\0"
                # etcd counts all keys up to the end for each page, so small values have large pages.
                size = found.value_bytes() or 1
                limit = max(PAGE, min(PAGE_BYTES * limit // size, 2 * limit, PAGE_LIMIT))

    def facts(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """Return at most *limit* facts of a stack after a path, at a revision."""
        found: Sequence[KeyValue] = ()
        past = self._keys.fact(stack.project_id, stack.id, after) + b"\0" if after else b""
        if prefix:
            key = self._keys.fact(stack.project_id, stack.id, prefix)
            if key > past:
                found = self._read_at(key, b"", 1, revision, deadline)
        below = self._keys.facts(stack.project_id, stack.id, prefix)
        start = max(below.start, past)
        if start < below.end and len(found) < limit:
            more = self._read_at(start, below.end, limit - len(found), revision, deadline)
            found = (*found, *more)
        mutations = [self._decoder.mutation(WatchEvent(item, False)) for item in found]
        return [mutation.fact for mutation in mutations if isinstance(mutation, PutFact)]

    def stacks(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, at a revision."""
        keys = self._keys.stacks(project_id)
        start = self._keys.stack(project_id, after) + b"\0" if after else keys.start
        found = self._read_at(start, keys.end, limit, revision, deadline)
        mutations = [self._decoder.mutation(WatchEvent(item, False)) for item in found]
        return [mutation.stack for mutation in mutations if isinstance(mutation, PutStack)]

    def records(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
        """Return all records of a kind at a revision, ordered by name."""
        keys = self._keys.records(stack.project_id, stack.id, kind)
        start = keys.start
        records: list[R] = []
        while True:
            found = self._read_at(start, keys.end, PAGE, revision, deadline)
            mutations = [self._decoder.mutation(WatchEvent(item, False)) for item in found]
            puts = [mutation for mutation in mutations if isinstance(mutation, PutRecord)]
            records += [put.record for put in puts if isinstance(put.record, kind)]
            if len(found) < PAGE:
                return records
            start = found[-1].key + b"\0"

    def _read_at(
        self, start: bytes, end: bytes, limit: int, revision: int, deadline: float
    ) -> Sequence[KeyValue]:
        try:
            return self._client.get(
                start, end, limit=limit, revision=revision, deadline=deadline
            ).items
        except Compacted:
            raise CursorExpired(
                "The revision of these pages is no longer available. Start again with the first page."
            ) from None
