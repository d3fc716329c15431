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

from factstore.core.errors import FactstoreError, OutcomeUnknown, StorageFull, TooLarge, Unavailable
from factstore.core.ports import Clock, WakeUp
from factstore.core.short_lock import ShortLock
from factstore.store.attempt_fence import AttemptFence
from factstore.store.batch_calls import Loop, Outcome, TransactAll
from factstore.store.client import Failure
from factstore.store.client.errors import not_sent, unconfirmed
from factstore.store.commit_batch import BATCH_SIZE, SHARE, Entry, WaitingEntries, united
from factstore.store.types import AnyTxn, Fence, Fenced, LeaseExpired

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
        self._loop = loop
        self._lost: Fence | None = None  # that of an attempt without an answer, until it is raised
        self._running = 0  # batches that are in the loop, or were left to the thread
        self._deferred = False  # the next turn of the loop sends a batch
        self._apart = 0  # the number of batches that are sent without an attempt to unite them
        self._left: deque[list[Entry]] = deque()
        self._fence = fence
        self._transact_all = transact_all
        self._clock = clock
        self._new_wake_up = new_wake_up
        self._lock = ShortLock()
        self._shared = shared
        self._on_batch = on_batch
        self._waiting = WaitingEntries()
        self._wanted = new_wake_up()
        self._stopping = False
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
        batch = self._waiting.next_batch(SHARE if self._shared() else BATCH_SIZE)
        self._on_batch([entry.txn for entry in batch])
        return batch

    # In the loop

    def _begin(self) -> None:
        """Send the next batch, if there is one."""
        self._deferred = False
        with self._lock:
            if self._holds_others:
                self._wanted.set()  # the thread raises the fence, and continues
                return
            batch = self._next_batch() if self._running < ATTEMPTS else []
            if not batch:
                if self._stopping:
                    self._wanted.set()
                return
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

    def _end(
        self,
        batch: list[Entry],
        count: int,
        fence: Fence,
        outcome: Outcome,
    ) -> None:
        if count < len(batch) and isinstance(outcome, tuple):
            (all_succeeded,), revision = outcome
            if not all_succeeded:  # nothing was written, and others may still succeed
                self._apart = APART
                self._start(batch, [entry.txn for entry in batch])
                return
            outcome = [True] * len(batch), revision
        if isinstance(outcome, Fenced):
            self._fence.note(fence, outcome.revision)
        if isinstance(outcome, Fenced) or outcome is Failure.REFUSED:
            self._leave(batch)  # nothing was written, and gRPC finds out why
            return
        if isinstance(outcome, Failure):
            self._lost = fence
        self._running -= 1
        self._begin()
        if isinstance(outcome, Failure):
            for entry in batch:
                entry.fail(unconfirmed())
        else:
            _finish(batch, *outcome)

    def _leave(self, batch: list[Entry]) -> None:
        with self._lock:
            self._left.append(batch)
            self._wanted.set()

    # In the thread

    @property
    def _is_held(self) -> bool:
        """True if an attempt was lost, and may still be applied."""
        return self._lost is not None and self._lost == self._fence.current

    @property
    def _holds_others(self) -> bool:
        return self._is_held and bool(self._waiting) and not self._stopping

    def _settle(self) -> None:
        """Raise the fence if an attempt was lost and others wait; a full store needs none.

        If no member can be reached, those that wait are refused at once.
        """
        while self._holds_others:
            deadline = self._clock.monotonic() + SETTLE_SECONDS
            try:
                self._fence.raise_(deadline)
            except StorageFull:
                self._lost = None
            except FactstoreError as error:
                if self._clock.monotonic() >= deadline:
                    continue  # some may have arrived just now
                with self._lock:
                    waiting = self._waiting.take_all()
                for entry in waiting:
                    entry.fail(copy(error))

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            held = self._is_held
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
                self._send(batch)
            self._running -= left
            if left or (held and self._loop is not None):
                self._begin()

    def _send(self, batch: list[Entry]) -> None:
        try:
            succeeded, revision = self._transact(batch)
        except (LeaseExpired, TooLarge) as error:
            if len(batch) == 1:
                batch[0].fail(error)
                return
            # One of them makes the whole batch fail, and nothing was written.
            for entry in batch:
                self._send([entry])
        except FactstoreError as error:
            for entry in batch:
                entry.fail(copy(error) if len(batch) > 1 else error)
        except Exception as error:  # noqa: BLE001 - the callers wait for an outcome
            for entry in batch:
                entry.fail(error)
        else:
            _finish(batch, succeeded, revision)

    def _transact(self, batch: list[Entry]) -> tuple[list[bool], int]:
        txns, deadline = [entry.txn for entry in batch], max(entry.deadline for entry in batch)
        while True:
            fence = self._fence.current
            try:
                return self._transact_all(txns, deadline, fence)
            except OutcomeUnknown:
                self._lost = fence
                raise
            except Fenced as error:
                self._fence.note(fence, error.revision)
                if self._clock.monotonic() >= deadline:
                    raise Unavailable("The store did not answer in time.") from error


def _finish(batch: list[Entry], succeeded: list[bool], revision: int) -> None:
    for entry, success in zip(batch, succeeded, strict=True):
        entry.finish(success, revision)
