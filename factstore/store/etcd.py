"""The etcd backend: commits as transactions with compares, and steps from one watch.

All keys are below one root, so that one watch reports every revision of the service.  Every transaction
and every read of the newest revision includes the epoch key.  So the service notices that the store was
wiped or replaced before it uses any of its contents.

It is longer than 300 lines because it implements one port; pure functions are in other modules.
"""

from __future__ import annotations

import hashlib
import logging
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby

from factstore.core.errors import CursorExpired, StorageFull
from factstore.core.model.event import Mutation, PutFact, PutRecord, PutStack, Step
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R
from factstore.core.model.transaction import Transaction
from factstore.core.operations.idempotency import earlier_receipt
from factstore.core.ports import Clock, Snapshot, WakeUp
from factstore.store import codec
from factstore.store.client import EtcdClient, WatchStream
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.decoding import Decoder
from factstore.store.keyspace import DELETION_AUTHOR_SLOTS, KeyRange, Keyspace
from factstore.store.purge import Purge
from factstore.store.txn import compares_for
from factstore.store.types import (
    Compacted,
    Compare,
    DeleteKeys,
    GetKey,
    KeyValue,
    LeaseExists,
    LeaseExpired,
    Operation,
    PutKey,
    Txn,
    WatchEvent,
)

LOG = logging.getLogger(__name__)

PAGE = 500  # keys read in one call when a state is loaded
LEASE_MARGIN = 1  # a lease starts before the write that it is for


class EtcdBackend:
    """A backend that stores facts and records in etcd.

    :param window: the number of past revisions that a new worker follows, if etcd still has them.
    :param timeout: seconds for calls without a deadline.
    :param on_purge: called when a stack was deleted, whose data :meth:`purge_deleted` deletes.
    """

    def __init__(
        self,
        client: EtcdClient,
        keyspace: Keyspace,
        clock: Clock,
        *,
        window: int,
        timeout: float,
        new_wake_up: Callable[[], WakeUp] = threading.Event,
        on_purge: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._keys = keyspace
        self._decoder = Decoder(keyspace)
        self._clock = clock
        self._window = window
        self._timeout = timeout
        self._batcher = CommitBatcher(client.transact, client.transact_all, clock, new_wake_up)
        self._store_id = b""
        self._epoch = ""
        self._stream: WatchStream | None = None
        self._has_earlier_receipts = False
        self._purge = Purge(client, keyspace, clock)
        self._on_purge = on_purge

    # Following

    def open(self) -> Snapshot:
        """Return the oldest state from which the whole window can be followed."""
        self._batcher.start()
        while True:
            store_id, cluster_id = self._read_store_id()
            head = self._client.get(self._keys.epoch, deadline=self._deadline()).revision
            start = max(self._compacted_revision() + 1, head - self._window + 1)
            try:
                mutations = self._load(start - 1) if start > 1 else []
            except Compacted:
                continue
            receipts = self._keys.all_receipts
            found = self._client.get(*receipts, limit=1, keys_only=True, deadline=self._deadline())
            self._has_earlier_receipts = bool(found.items)
            digest = hashlib.sha256(b"%d/%b" % (cluster_id, store_id)).hexdigest()
            self._store_id, self._epoch = store_id, digest[:16]
            return Snapshot(self._epoch, start - 1, mutations)

    def follow(self, after: int) -> Iterator[Step]:
        """Yield every step after a revision; see :class:`~factstore.core.ports.Backend`."""
        if self.head(self._deadline()) < after:
            raise CursorExpired(
                "etcd is at an older revision than before; it was restored or replaced"
            )
        if after < self._compacted_revision():
            raise CursorExpired("etcd has compacted the history")
        everything = self._keys.everything
        stream = self._client.watch(everything.start, everything.end, after + 1)
        self._stream = stream
        try:
            for events in stream:
                for revision, group in groupby(events, key=lambda event: event.item.revision):
                    yield Step(revision, tuple(self._decoder.mutations(group)))
                start, end = self._keys.all_receipts
                if any(start <= event.item.key < end for event in events):
                    self._has_earlier_receipts = True  # a worker of an earlier version is running
        except Compacted as error:
            raise CursorExpired(f"etcd has compacted the history: {error}") from error
        finally:
            stream.close()
            self._stream = None

    def interrupt(self) -> None:
        """Make a running :meth:`follow` raise Unavailable, and use another member from now on."""
        self._client.prefer_next()
        if self._stream is not None:
            self._stream.close()

    def head(self, deadline: float) -> int:
        """Return the newest revision of the store that was opened, with a linearizable read."""
        found = self._client.get(self._keys.epoch, deadline=deadline)
        if not found.items or found.items[0].value != self._store_id:
            self.interrupt()
            raise CursorExpired("the store was replaced")
        return found.revision

    def _read_store_id(self) -> tuple[bytes, int]:
        """Return the random id of the store, created on first use, and the id of the cluster."""
        while True:
            found = self._client.get(self._keys.epoch, deadline=self._deadline())
            if found.items:
                return found.items[0].value, found.cluster_id
            absent = Compare(self._keys.epoch, "create", "==", 0)
            name = PutKey(self._keys.epoch, secrets.token_hex(16).encode())
            self._client.transact(Txn([absent], [name]), deadline=self._deadline())

    def _compacted_revision(self) -> int:
        """Return the revision to which etcd is compacted; only a cancelled watch reports it.

        A watch must start later: etcd 3.4 loses a deletion that was made at exactly that revision.
        """
        stream = self._client.watch(self._keys.epoch, b"", 1)
        try:
            next(iter(stream))
        except Compacted as error:
            return error.revision
        finally:
            stream.close()
        return 0

    def _load(self, revision: int) -> list[Mutation]:
        mutations: list[Mutation] = []
        for keys in (self._keys.all_stacks, self._keys.all_data):
            for item in self._pages(keys, revision):
                mutation = self._decoder.mutation(WatchEvent(item, False))
                if mutation is not None:
                    mutations.append(mutation)
        return mutations

    def _pages(self, keys: KeyRange, revision: int = 0) -> Iterator[KeyValue]:
        start = keys.start
        while True:
            found = self._client.get(
                start, keys.end, revision=revision, limit=PAGE, deadline=self._deadline()
            )
            yield from found.items
            if len(found.items) < PAGE:
                return
            start = found.items[-1].key + b"\0"

    # Writing

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        """Write, and return the revision, or None if a compare failed."""
        keys, stack = self._keys, commit.stack
        compares = compares_for(commit, keys, self._store_id)
        if commit.epoch not in ("", self._epoch):
            return None
        operations: list[Operation] = []
        record = keys.stack(stack.project_id, stack.name)
        if commit.creates_stack or commit.updates_stack:
            operations.append(PutKey(record, codec.encode_stack(stack)))
        for fact in commit.puts:
            key = keys.fact(stack.project_id, stack.id, fact.path)
            operations.append(PutKey(key, codec.encode_fact(fact), fact.lease))
        for path in commit.deletes:
            operations.append(DeleteKeys(keys.fact(stack.project_id, stack.id, path)))
        for new in commit.records:
            key = keys.record(stack.project_id, stack.id, new.record_key)
            operations.append(PutKey(key, codec.encode_record(new), new.lease))
        for record_key in commit.removes:
            operations.append(DeleteKeys(keys.record(stack.project_id, stack.id, record_key)))
        for waiter in commit.cleared_waiters:
            operations.append(DeleteKeys(*keys.signals(stack.project_id, stack.id, waiter)))
        if commit.drops_stack:
            operations.append(DeleteKeys(record))
            if not commit.only_deletes:
                operations.append(PutKey(keys.purge(stack.project_id, stack.id), b""))
        if commit.author is not None:
            # A bounded number of slots needs no cleanup; only the watch reads them.
            slot = random.randrange(DELETION_AUTHOR_SLOTS)  # noqa: S311 - spread, not secrecy
            operations.append(PutKey(keys.act(slot), codec.encode_deletion_author(commit.author)))
        if not operations:
            operations.append(GetKey(keys.epoch))
        try:
            succeeded, revision = self._batcher.transact(Txn(compares, operations), deadline)
        except LeaseExpired:
            return None
        if succeeded and commit.drops_stack:
            if commit.only_deletes:
                self._purge.add(stack.project_id, stack.id)
            self._on_purge()
        return revision if succeeded else None

    def earlier_receipt(self, project_id: str, key: str, deadline: float) -> Receipt | None:
        """Return the receipt that an earlier version stored outside the stack, or None.

        Such receipts expire within a day of the upgrade.  Without them, no call is made.
        """
        if not self._has_earlier_receipts:
            return None
        found = self._client.get(self._keys.receipt(project_id, key), deadline=deadline)
        if not found.items:
            return None
        item = found.items[0]
        return earlier_receipt(key, item.value, item.revision)

    # Reading the past

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """Return at most *limit* facts of a stack after a path, at a revision."""
        found: list[KeyValue] = []
        past = self._keys.fact(stack.project_id, stack.id, after) + b"\0" if after else b""
        if prefix:
            key = self._keys.fact(stack.project_id, stack.id, prefix)
            if key > past:
                found = self._read_at(key, b"", 1, revision, deadline)
        below = self._keys.facts(stack.project_id, stack.id, prefix)
        start = max(below.start, past)
        if start < below.end and len(found) < limit:
            found = found + self._read_at(start, below.end, limit - len(found), revision, deadline)
        mutations = [self._decoder.mutation(WatchEvent(item, False)) for item in found]
        return [mutation.fact for mutation in mutations if isinstance(mutation, PutFact)]

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, at a revision."""
        keys = self._keys.stacks(project_id)
        start = self._keys.stack(project_id, after) + b"\0" if after else keys.start
        found = self._read_at(start, keys.end, limit, revision, deadline)
        mutations = [self._decoder.mutation(WatchEvent(item, False)) for item in found]
        return [mutation.stack for mutation in mutations if isinstance(mutation, PutStack)]

    def records_at(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
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
    ) -> list[KeyValue]:
        try:
            return self._client.get(
                start, end, limit=limit, revision=revision, deadline=deadline
            ).items
        except Compacted:
            raise CursorExpired(
                "the revision of these pages is no longer available. Start again with the first page."
            ) from None

    # Leases and maintenance

    def create_lease(self, ttl: int, deadline: float) -> int:
        """Create a lease with a ttl in seconds, and return its id."""
        while True:
            lease = self._keys.new_lease()
            with suppress(LeaseExists):
                return self._client.grant(ttl + LEASE_MARGIN, lease, deadline=deadline)

    def renew_lease(self, lease: int, deadline: float) -> bool:
        """Renew a lease; return False if it has expired."""
        return self._client.renew(lease, deadline=deadline)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        """Revoke a lease, and delete the keys that are attached to it."""
        self._client.revoke(lease, deadline=deadline)

    def bump_revision(self, deadline: float) -> int:
        """Write the sentinel, so that the watch reports a revision after those of other clients.

        If the store is full, a note about a former deletion is deleted instead.
        """
        same = Compare(self._keys.epoch, "value", "==", self._store_id)
        try:
            put = PutKey(self._keys.sentinel, b"")
            _, revision = self._client.transact(Txn([same], [put]), deadline=deadline)
        except StorageFull:
            notes = self._client.get(*self._keys.all_acts, limit=1, deadline=deadline).items
            if not notes:
                raise
            delete = DeleteKeys(notes[0].key)
            _, revision = self._client.transact(Txn([same], [delete]), deadline=deadline)
        return revision

    def purge_deleted(self, deadline: float) -> None:
        """Delete the data of deleted stacks, in small transactions."""
        self._purge.run(deadline)

    def compact(self, revision: int, deadline: float) -> None:
        """Compact the history before a revision."""
        self._client.compact(revision, deadline=deadline)

    def try_compaction_turn(self, seen: int, deadline: float) -> tuple[bool, int, int]:
        """Try to get the next turn to compact; see :mod:`factstore.store.maintenance`.

        :param seen: the version of the turn that this worker saw last; 0 for none.
        :return: True if this worker has the turn, the current version, and the revision that was
            stored at the turn before.
        """
        found = self._client.get(self._keys.compactor, deadline=deadline)
        version = found.items[0].version if found.items else 0
        noted = _revision(found.items[0].value) if found.items else 0
        if version != seen:
            return False, version, noted
        written = found.items[0].revision if found.items else 0
        unchanged = Compare(self._keys.compactor, "mod", "==", written)
        note = PutKey(self._keys.compactor, str(found.revision).encode())
        mine, _ = self._client.transact(Txn([unchanged], [note]), deadline=deadline)
        return mine, version + 1 if mine else version, noted

    @property
    def alive(self) -> bool:
        """Return True if the thread that sends commits is running."""
        return self._batcher.alive

    def close(self) -> None:
        """Finish running commits, and close all connections."""
        self._batcher.stop()
        self._client.close()

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout


def _revision(note: bytes) -> int:
    """Return the stored revision; 0, which compacts nothing, if another client wrote the value."""
    return int(note) if note.isdigit() else 0
