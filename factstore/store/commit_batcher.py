"""Batches of writes: what arrives while transactions are running is sent together in the next one.

Some transactions run at once, so that the worker prepares one while etcd stores another.  No write
waits longer for a batch: if fewer are running, a write is sent alone and at once.  In a batch, every
write has its own compares, and succeeds or fails independently.  Writes of facts are sent as one write
first, because etcd needs less time for it, and separately if one of them fails.

After an attempt that etcd has not answered, nothing is sent until the fence has been raised.  So while
etcd is away, only the writes of the running attempts have an unknown outcome; the others were not made.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial

from factstore.core.errors import FactstoreError, StorageFull, Unavailable
from factstore.core.ports import Clock, WakeUp
from factstore.core.short_lock import ShortLock
from factstore.store.attempt_fence import AttemptFence
from factstore.store.batch_calls import Loop, Outcome, TransactAll
from factstore.store.batch_sender import BatchSender
from factstore.store.client import Failure
from factstore.store.client.errors import not_sent, unconfirmed
from factstore.store.commit_batch import (
    BATCH_SIZE,
    SHARE,
    Entry,
    WaitingEntries,
    finish_all,
    united,
)
from factstore.store.types import AnyTxn, Fence, Fenced

LOG = logging.getLogger(__name__)

ATTEMPTS = 2  # transactions that run at once in a loop
APART = 16  # batches that are not united after one that failed: others write the same facts
SETTLE_SECONDS = 5.0  # for a call that raises the fence


class CommitBatcher:
    """Sends transactions in the loop or from a thread of its own, in a batch if several wait.

    :param transact_all: sends transactions as one, and returns which of them succeeded.
    :param fence: of all attempts.
    :param loop: sends batches if that is possible; what it refuses is left to the thread.
    :param shared: returns True while several projects write.
    :param on_batch: called with the transactions of a batch before they are sent.
    """

    def __init__(
        self,
        transact_all: TransactAll,
        fence: AttemptFence,
        clock: Clock,
        new_wake_up: Callable[[], WakeUp],
        loop: Loop | None = None,
        shared: Callable[[], bool] = lambda: False,
        on_batch: Callable[[Sequence[AnyTxn]], object] = lambda txns: None,
    ) -> None:
        self._fence = fence
        self._clock = clock
        self._new_wake_up = new_wake_up
        self._shared = shared
        self._on_batch = on_batch
        self._lock = ShortLock()
        self._waiting = WaitingEntries()
        self._stopping = False

        self._loop = loop
        self._deferred = False  # the next turn of the loop sends a batch
        self._running = 0  # batches that are in the loop, or were left to the thread
        self._apart = 0  # the number of batches that are sent without an attempt to unite them

        self._sender = BatchSender(transact_all, fence, clock)
        self._left: deque[list[Entry]] = deque()  # batches that the loop could not send
        self._wanted = new_wake_up()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it is running."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="commit-batcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread once all waiting transactions have been sent."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(5)

    @property
    def alive(self) -> bool:
        """Return False if the thread has ended unexpectedly."""
        return self._thread is None or self._thread.is_alive()

    def transact(self, txn: AnyTxn, deadline: float) -> tuple[bool, int]:
        """Send a transaction; return whether its compares succeeded, and the revision.

        :raises Unavailable: the transaction was not sent.
        :raises OutcomeUnknown: the transaction may have been applied.
        :raises LeaseExpired: a put has a lease that has expired; nothing was written.
        """
        done = self._new_wake_up()
        entry = Entry(txn, deadline, done.set)
        self.send(entry)
        done.wait(max(0.0, deadline - self._clock.monotonic()))
        if not done.is_set():
            self.give_up(entry)
        if entry.error is not None:
            raise entry.error
        return entry.succeeded, entry.revision

    def send(self, entry: Entry) -> None:
        """Add a transaction to the next batch.

        :raises Unavailable: the service is stopping.
        """
        if self._stopping:
            raise Unavailable("The service is stopping.")
        if self._loop is None:
            with self._lock:
                self._waiting.add(entry)
                self._wanted.set()
            return
        # Where there is a loop, nothing else runs until this returns.
        self._waiting.add(entry)
        if self._running < ATTEMPTS and not self._deferred:
            self._deferred = True
            self._loop.defer(self._begin)

    def give_up(self, entry: Entry) -> None:
        """End an entry that has no outcome yet with the error of one that takes too long."""
        with self._lock:
            waits = self._waiting.remove(entry)
        entry.fail(not_sent() if waits else unconfirmed())

    def _next_batch(self) -> list[Entry]:
        """Take the next batch; the caller has the lock."""
        batch = self._waiting.next_batch(SHARE if self._shared() else BATCH_SIZE)
        self._on_batch([entry.txn for entry in batch])
        return batch

    # In the loop

    def _begin(self) -> None:
        """Send the next batch, if there is one."""
        self._deferred = False
        if not self._waiting:
            if self._stopping:
                self._wanted.set()
            return
        with self._lock:
            if self._holds_others:
                self._wanted.set()  # the thread raises the fence, and continues
                return
            if self._running >= ATTEMPTS:
                return
            batch = self._next_batch()
            self._running += 1

        txns = [entry.txn for entry in batch]
        if self._apart:
            self._apart -= 1
        elif len(txns) > 1 and (together := united(txns)) is not None:
            self._start(batch, [together])
            return
        self._start(batch, txns)

    def _start(self, batch: list[Entry], txns: Sequence[AnyTxn]) -> None:
        """Send a batch as some transactions: those of its entries, or one that unites them."""
        deadline, started = max(entry.deadline for entry in batch), False
        try:
            if self._loop is not None:
                ended = partial(self._end, batch, len(txns), fence := self._fence.current)
                started = self._loop.transact_all(txns, deadline, fence, ended)
        except Exception:  # the thread finds out, too, and notifies the writers
            LOG.exception("A batch cannot be sent in the loop.")
        if not started:
            self._leave(batch)

    def _end(self, batch: list[Entry], count: int, fence: Fence, outcome: Outcome) -> None:
        """Deal with the outcome of a batch that was sent as some transactions, and send the next one.

        :param count: of these transactions.
        :param fence: the one that they compared.
        """
        if count < len(batch) and isinstance(outcome, tuple):
            (all_succeeded,), revision = outcome
            if not all_succeeded:  # nothing was written, and others may still succeed
                self._apart = APART
                self._start(batch, [entry.txn for entry in batch])
                return
            outcome = [True] * len(batch), revision

        if isinstance(outcome, Fenced):
            self._fence.note(fence, outcome.revision)
        if isinstance(outcome, Fenced) or outcome in (Failure.REFUSED, Failure.NO_LEASE):
            self._leave(batch)  # nothing was written, and gRPC finds out why
            return

        if isinstance(outcome, Failure):
            self._fence.lose(fence)
        self._running -= 1
        self._begin()
        if isinstance(outcome, Failure):
            for entry in batch:
                entry.fail(unconfirmed())
        else:
            finish_all(batch, *outcome)

    def _leave(self, batch: list[Entry]) -> None:
        """Leave a batch to the thread."""
        with self._lock:
            self._left.append(batch)
            self._wanted.set()

    # In the thread

    @property
    def _holds_others(self) -> bool:
        """True if transactions wait until a lost attempt cannot be applied any more."""
        return self._fence.has_lost and bool(self._waiting) and not self._stopping

    def _settle(self) -> None:
        """Raise the fence if an attempt was lost and others wait; a full store needs none.

        If no member can be reached, those that wait are refused at once.
        """
        while self._holds_others:
            deadline = self._clock.monotonic() + SETTLE_SECONDS
            try:
                self._fence.raise_(deadline)
            except StorageFull:
                self._fence.forget_lost()
            except FactstoreError as error:
                if self._clock.monotonic() < deadline:  # otherwise some may have arrived just now
                    self._refuse_waiting(error)
            except Exception:  # without this thread, nothing would be written any more
                LOG.exception("The fence cannot be raised.")
                self._refuse_waiting(Unavailable("The store cannot be reached."))

    def _refuse_waiting(self, error: FactstoreError) -> None:
        with self._lock:
            waiting = self._waiting.take_all()
        for entry in waiting:
            entry.fail(copy(error))

    def _run(self) -> None:
        """Send what the loop does not, until the batcher stops and everything has been sent."""
        while True:
            self._wanted.wait()
            held = self._fence.has_lost
            if held:
                self._settle()

            with self._lock:
                batch = self._left.popleft() if self._left else []
                left = bool(batch)
                if self._loop is None and not self._holds_others:
                    batch = self._next_batch()
                if not (self._left or (self._loop is None and self._waiting)):
                    if self._stopping and not (batch or self._waiting or self._running):
                        return
                    self._wanted = self._new_wake_up()
                    if self._stopping and not self._running:
                        self._wanted.set()

            if batch:
                self._sender.send(batch)
            self._running -= left
            if left or (held and self._loop is not None):
                self._begin()
