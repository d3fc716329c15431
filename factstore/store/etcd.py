"""The etcd backend: commits as transactions with compares, and the parts that do the rest.

Every transaction and every read of the newest revision includes the epoch key.  So the service notices
that the store was wiped or replaced before it uses any of its contents.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from factstore.core.errors import OutcomeUnknown, StorageFull, Unavailable
from factstore.core.history_store import KnownFact, PastSteps, Snapshot
from factstore.core.model.event import DeletionAuthor, Step
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import R
from factstore.core.model.transaction import Transaction
from factstore.core.ports import Clock, CommitEnded, Started, Visibility, WakeUp
from factstore.store import codec
from factstore.store.attempt_fence import AttemptFence
from factstore.store.client import EtcdClient
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.etcd_history import EtcdHistory
from factstore.store.etcd_maintenance import EtcdMaintenance
from factstore.store.fact_txns import FactTxns
from factstore.store.key_builder import FENCE_SLOTS
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import OwnFacts
from factstore.store.started_commit import BatchedCommit
from factstore.store.txn import compares_for, operations_for, record_compares, split_pulses
from factstore.store.types import AnyTxn, LeaseExpired, Txn


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
        own_facts = OwnFacts()
        self._timeout = timeout
        self._history = EtcdHistory(client, keyspace, self._head, own_facts, window, self._deadline)
        self.followed = self._history.followed
        self._fact_txns = FactTxns(keyspace)
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
            own_facts.add,
        )
        self._on_purge = on_purge

    # Following; see :class:`~factstore.store.etcd_history.EtcdHistory`

    def open(self, *, recent: bool = False) -> Snapshot:
        """Return the oldest state from which the whole window can be followed, or a recent one."""
        self._batcher.start()
        return self._history.open(recent=recent)

    def follow(self, after: int) -> Iterator[Step]:
        """Return every step after a revision."""
        return self._history.follow(after)

    def read_past(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        """Return the history before a snapshot."""
        return self._history.read_past(after, upto, known)

    def interrupt(self) -> None:
        """Make a running :meth:`follow` or :meth:`read_past` raise Unavailable."""
        self._history.interrupt()

    @property
    def reading(self) -> bool:
        """Return True while :meth:`open` reads the contents, and etcd has answered."""
        return self._history.past.reading

    def head(self, deadline: float) -> int:
        """Return the newest revision of the store that was opened, with a linearizable read."""
        return self._history.head(deadline)

    def start_head(self, ended: Callable[[int | None], object]) -> bool:
        """Start :meth:`head` without waiting; return False if that is not possible."""
        return self._head.start(ended)

    # Writing

    def commit(self, transaction: Transaction, deadline: float) -> int | None:
        """Write, and return the revision, or None if a compare failed."""
        stack, (store_id, epoch) = transaction.stack, self._head.opened
        if transaction.epoch not in ("", epoch):
            return None

        transaction, pulses = split_pulses(transaction)
        if not (transaction.creates_stack or self._store_pulses(pulses, epoch, deadline)):
            return None
        try:
            succeeded, revision = self._batcher.transact(self._txn(transaction, store_id), deadline)
        except LeaseExpired:
            return None
        if not succeeded:
            return None

        if transaction.creates_stack:
            with suppress(Unavailable, StorageFull):  # pulses that are missing are restored
                self._store_pulses(pulses, epoch, deadline)
        if transaction.drops_stack:
            if transaction.only_deletes:
                self._purge.add(epoch, stack.project_id, stack.id)
            self._on_purge()
        return revision

    def start_commit(
        self, transaction: Transaction, deadline: float, ended: CommitEnded, visibility: Visibility
    ) -> Started | None:
        """Start :meth:`commit` without waiting, unless it deletes a stack."""
        store_id, epoch = self._head.opened
        if transaction.epoch not in ("", epoch) or transaction.drops_stack:
            return None
        parts = self._txn(transaction, store_id), deadline, ended, visibility, self._clock
        return BatchedCommit(self._batcher, *parts)

    def raise_fence(self, deadline: float) -> int:
        """Make all earlier attempts fail; return a revision after those that were applied."""
        return self._fence.raise_(deadline)

    def _store_pulses(self, pulses: Transaction | None, epoch: str, deadline: float) -> bool:
        """Store the pulses of a transaction that would be too large with them.

        That is before it, because a pulse without a fact disappears by itself; but after it if it
        creates the stack, because a record without a stack is ignored.

        :return: False if one of them has been restored or ended meanwhile.
        """
        if pulses is None:
            return True
        compares = [self._head.guard(epoch), *record_compares(pulses, self._keys)]
        try:
            txn = Txn(compares, operations_for(pulses, self._keys))
            return self._client.transact(txn, deadline)[0]
        except OutcomeUnknown as error:
            raise Unavailable("etcd did not answer in time; nothing was written.") from error

    def _txn(self, transaction: Transaction, store_id: bytes) -> AnyTxn:
        """Return the transaction of etcd that carries out one of the domain."""
        facts_only = self._fact_txns.make(transaction, store_id)
        if facts_only is not None:
            return facts_only
        compares = compares_for(transaction, self._keys, store_id)
        return Txn(compares, operations_for(transaction, self._keys), transaction.stack.project_id)

    def earlier_receipt(
        self, project_id: str, key: str, epoch: str, deadline: float
    ) -> Receipt | None:
        """Return the receipt that an earlier version stored outside the stack, or None."""
        found = self._history.earlier_receipts.find(project_id, key, deadline)
        if found is not None:
            self._head.check_same(epoch, deadline)
        return found

    def deletion_revision(self, author: DeletionAuthor, after: int, deadline: float) -> int | None:
        """Return the revision of a deletion after a revision, if its author's note still exists."""
        value = codec.encode_deletion_author(author)
        notes = self._client.get(*self._keys.all_acts, deadline=deadline).items
        revisions = [note.revision for note in notes if note.value == value]
        return max((revision for revision in revisions if revision > after), default=None)

    # Reading the past; see :class:`~factstore.store.past.PastReader`

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        """Return at most *limit* facts of a stack after a path, at a revision."""
        return self._history.past.facts(stack, prefix, after, limit, revision, deadline)

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, at a revision."""
        return self._history.past.stacks(project_id, after, limit, revision, deadline)

    def records_at(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
        """Return all records of a kind at a revision, ordered by name."""
        return self._history.past.records(stack, kind, revision, deadline)

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
