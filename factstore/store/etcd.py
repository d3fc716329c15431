"""The etcd backend: commits as transactions with compares, and steps from one watch.

All keys are below one root, so that one watch reports every revision of the service.  Every transaction
and every read of the newest revision includes the epoch key.  So the service notices that the store was
wiped or replaced before it uses any of its contents.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from factstore.core.errors import CursorExpired, OutcomeUnknown, StorageFull, Unavailable
from factstore.core.history_store import KnownFact, PastSteps, Snapshot
from factstore.core.model.event import DeletionAuthor, Loaded, Step
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.pulse import Pulse
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R
from factstore.core.model.transaction import Transaction
from factstore.core.operations.idempotency import earlier_receipt
from factstore.core.ports import Clock, CommitEnded, Started, Visibility, WakeUp
from factstore.store import codec
from factstore.store.attempt_fence import AttemptFence
from factstore.store.client import EtcdClient
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.decoding import Decoder
from factstore.store.etcd_maintenance import EtcdMaintenance
from factstore.store.fact_txns import FactTxns
from factstore.store.followed import Followed
from factstore.store.history_watch import HistoryWatch
from factstore.store.key_builder import FENCE_SLOTS
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import OwnFacts
from factstore.store.past import PastReader
from factstore.store.past_steps import PastStepsReader
from factstore.store.started_commit import BatchedCommit
from factstore.store.txn import compares_for, operations_for, split_pulses
from factstore.store.types import AnyTxn, Compacted, Compare, LeaseExpired, Txn

LOG = logging.getLogger(__name__)


class EtcdBackend(EtcdMaintenance):
    """A backend that stores facts and records in etcd.

    :param window: the number of past revisions that a new worker follows, if etcd still has them.
    :param timeout: seconds for calls without a deadline.
    :param on_purge: called when a stack was deleted, whose data :meth:`purge_deleted` deletes.
    :param shared: returns True while several projects use this worker.
    """

    def __init__(
        self,
        client: EtcdClient,
        keyspace: Keyspace,
        clock: Clock,
        *,
        window: int,
        timeout: float,
        new_wake_up: Callable[[], WakeUp] | None = None,
        on_purge: Callable[[], None] = lambda: None,
        shared: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(client, keyspace, clock)
        self._own_facts = OwnFacts()
        self._decoder = Decoder(keyspace, self._own_facts)
        self._fact_txns = FactTxns(keyspace)
        self._window = window
        self._timeout = timeout
        # A bounded number of keys needs no cleanup, and workers that share one do no harm.
        slot = random.randrange(FENCE_SLOTS)  # noqa: S311 - spread, not secrecy
        self._fence = AttemptFence(keyspace.fence(slot), client.raise_fence)
        self._batcher = CommitBatcher(
            client.transact_all,
            self._fence,
            clock,
            new_wake_up or threading.Event,
            client.loop if client.loop.available else None,
            shared,
            self._own_facts.add,
        )
        self._stream: HistoryWatch | None = None
        self._has_earlier_receipts = False
        self._past = PastReader(client, keyspace, self._decoder)
        self._past_steps = PastStepsReader(client, keyspace, self._deadline)
        self.followed = Followed(client, keyspace)
        self._on_purge = on_purge

    # Following

    def open(self, *, recent: bool = False) -> Snapshot:
        """Return the oldest state from which the whole window can be followed, or a recent one."""
        self._batcher.start()
        store_id, cluster_id, head = self._head.open(self._deadline)
        compacted = self._compacted_revision()
        found = self.followed.open(head, compacted, self._window, self._deadline())
        receipts = self._client.get(
            *self._keys.all_receipts, limit=1, keys_only=True, deadline=self._deadline()
        )
        self._has_earlier_receipts = bool(receipts.items)
        epoch = hashlib.sha256(b"%d/%b" % (cluster_id, store_id)).hexdigest()[:16]
        key = hashlib.sha256(b"signing key %b" % store_id).digest()
        at, oldest = (found.newest if recent else found.oldest) - 1, found.oldest - 1
        contents, since = self._contents(at, store_id, epoch), oldest if oldest < at else None
        return Snapshot(epoch, at, contents, found.lost_at, key, since)

    def _contents(self, revision: int, store_id: bytes, epoch: str) -> Iterator[Loaded]:
        """Yield the contents, after which the newest revision and writes are those of this store."""
        if revision:
            yield from self._past.all(revision, self._deadline)
        self._head.opened = store_id, epoch

    def follow(self, after: int) -> Iterator[Step]:
        """Return every step after a revision; see :class:`~factstore.core.ports.Backend`."""
        head = self.head(self._deadline())
        if head < after:
            raise CursorExpired(
                "etcd is at an older revision than before; it was restored or replaced"
            )
        watch = partial(self._client.watch, *self._keys.everything)
        # etcd looks every tenth of a second for watches that start in the past.  This one is opened
        # before the one that finds the compacted revision, so that the same look serves both.
        stream = self._stream = HistoryWatch(watch, after + 1, head)
        try:
            if after < self._compacted_revision():
                raise CursorExpired("etcd has compacted the history")
        except BaseException:
            stream.close()
            raise
        return self._steps(stream)

    def _steps(self, stream: HistoryWatch) -> Iterator[Step]:
        """Yield the steps of a watch."""
        try:
            for events in stream:
                mutations = tuple(self._decoder.reported(events))
                start, end = self._keys.all_receipts
                if len(mutations) < len(events) and any(start <= e.item.key < end for e in events):
                    self._has_earlier_receipts = True  # a worker of an earlier version is running
                step = Step(events[0].item.revision, mutations)
                del events  # they keep all of the response that they came in
                yield step
        except Compacted as error:
            raise CursorExpired(f"etcd has compacted the history: {error}") from error
        finally:
            stream.close()
            self._stream = None

    def read_past(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        """Return the history before a snapshot; see :class:`PastStepsReader`."""
        return self._past_steps.read(after, upto, known)

    def interrupt(self) -> None:
        """Make a running :meth:`follow` or :meth:`read_past` raise Unavailable."""
        if self._stream is not None:
            self._stream.close()
        self._past_steps.interrupt()

    def head(self, deadline: float) -> int:
        """Return the newest revision of the store that was opened, with a linearizable read."""
        try:
            return self._head.read(deadline)
        except CursorExpired:
            self._client.prefer_next()
            self.interrupt()
            raise

    def start_head(self, ended: Callable[[int | None], object]) -> bool:
        """Start :meth:`head` without waiting; return False if that is not possible."""
        return self._head.start(ended)

    def _compacted_revision(self) -> int:
        """Return the revision to which etcd is compacted.

        A watch must start later: etcd 3.4 loses a deletion that was made at exactly that revision.
        """
        return self._client.compacted_revision(self._keys.epoch)

    # Writing

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        """Write, and return the revision, or None if a compare failed."""
        stack, (store_id, epoch) = commit.stack, self._head.opened
        if commit.epoch not in ("", epoch):
            return None
        commit, pulses = split_pulses(commit)
        if not commit.creates_stack:
            self._store_pulses(stack, store_id, pulses, deadline)
        try:
            succeeded, revision = self._batcher.transact(self._txn(commit, store_id), deadline)
        except LeaseExpired:
            return None
        if succeeded and commit.creates_stack:
            with suppress(Unavailable, StorageFull):  # pulses that are missing are restored
                self._store_pulses(stack, store_id, pulses, deadline)
        if succeeded and commit.drops_stack:
            if commit.only_deletes:
                self._purge.add(stack.project_id, stack.id)
            self._on_purge()
        return revision if succeeded else None

    def start_commit(
        self, commit: Transaction, deadline: float, ended: CommitEnded, visibility: Visibility
    ) -> Started | None:
        """Start :meth:`commit` without waiting, unless it deletes a stack."""
        store_id, epoch = self._head.opened
        if commit.epoch not in ("", epoch) or commit.drops_stack:
            return None
        parts = self._txn(commit, store_id), deadline, ended, visibility, self._clock
        return BatchedCommit(self._batcher, *parts)

    def raise_fence(self, deadline: float) -> int:
        """Make all earlier attempts fail; return a revision after those that were applied."""
        return self._fence.raise_(deadline)

    def _store_pulses(
        self, stack: Stack, store_id: bytes, pulses: Sequence[Pulse], deadline: float
    ) -> None:
        """Store the pulses of a transaction that would be too large with them.

        That is before it, because a pulse without a fact disappears by itself; but after it if it
        creates the stack, because a record without a stack is ignored.
        """
        if not pulses:
            return
        same = Compare(self._keys.epoch, "value", "==", store_id)
        puts = operations_for(Transaction(stack, 0, records=tuple(pulses)), self._keys)
        try:
            self._client.transact(Txn([same], puts), deadline)
        except OutcomeUnknown as error:
            raise Unavailable("etcd did not answer in time; nothing was written.") from error

    def _txn(self, commit: Transaction, store_id: bytes) -> AnyTxn:
        if (found := self._fact_txns.make(commit, store_id)) is not None:
            return found
        compares = compares_for(commit, self._keys, store_id)
        return Txn(compares, operations_for(commit, self._keys), commit.stack.project_id)

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

    def deletion_revision(self, author: DeletionAuthor, after: int, deadline: float) -> int | None:
        """Return the revision of a deletion after a revision, if its author's note still exists."""
        value = codec.encode_deletion_author(author)
        notes = self._client.get(*self._keys.all_acts, deadline=deadline).items
        return max(
            (n.revision for n in notes if n.value == value and n.revision > after), default=None
        )

    # Reading the past; see :class:`~factstore.store.past.PastReader`

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """Return at most *limit* facts of a stack after a path, at a revision."""
        return self._past.facts(stack, prefix, after, limit, revision, deadline)

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, at a revision."""
        return self._past.stacks(project_id, after, limit, revision, deadline)

    def records_at(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
        """Return all records of a kind at a revision, ordered by name."""
        return self._past.records(stack, kind, revision, deadline)

    @property
    def reading(self) -> bool:
        """Return True while :meth:`open` reads the contents, and etcd has answered."""
        return self._past.reading

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
