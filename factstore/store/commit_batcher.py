"""Batches of writes: the writes that arrive during one transaction are sent together in the next one.

No write waits longer for it: if no transaction is running, a write is sent alone and at once.  In a
batch, every write has its own compares, and succeeds or fails independently.

All compares of a batch see the store as it was *before* the batch.  Two writes therefore must not be in
one batch if one of them changes a key that the other compares: otherwise ``a`` and ``a/b`` could both
be created, because neither sees the other.  A write that conflicts waits for the next batch.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from factstore.core.errors import FactstoreError, OutcomeUnknown, TooLarge, Unavailable
from factstore.core.ports import Clock, WakeUp
from factstore.store.types import DeleteKeys, GetKey, LeaseExpired, Txn

LOG = logging.getLogger(__name__)

# etcd allows 128 operations and compares for a batch: one for each transaction in it, and the size of
# the largest.
BATCH_SIZE = 128
BATCH_BYTES = 1024 * 1024


Transact = Callable[[Txn, float], tuple[bool, int]]
TransactAll = Callable[[Sequence[Txn], float], tuple[list[bool], int]]


class CommitBatcher:
    """Sends transactions from a thread of its own, in a batch if several wait.

    :param transact: sends one transaction.
    :param transact_all: sends several as one, and returns which of them succeeded.
    """

    def __init__(
        self,
        transact: Transact,
        transact_all: TransactAll,
        clock: Clock,
        new_wake_up: Callable[[], WakeUp],
    ) -> None:
        self._transact = transact
        self._transact_all = transact_all
        self._clock = clock
        self._new_wake_up = new_wake_up
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
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

    def transact(self, txn: Txn, deadline: float) -> tuple[bool, int]:
        """Send a transaction; return whether its compares succeeded, and the revision.

        :raises Unavailable: the transaction was not sent.
        :raises OutcomeUnknown: the transaction may have been applied.
        :raises LeaseExpired: a put has a lease that has expired; nothing was written.
        """
        done = self._new_wake_up()
        entry = self.send(txn, deadline, lambda _: done.set())
        done.wait(max(0.0, deadline - self._clock.monotonic()))
        if not done.is_set():
            self.give_up(entry)
        if entry.error is not None:
            raise entry.error
        return entry.succeeded, entry.revision

    def send(self, txn: Txn, deadline: float, ended: Callable[[Entry], object]) -> Entry:
        """Add a transaction to the next batch, and return its entry.

        :param ended: called with the entry when it has an outcome.
        :raises Unavailable: the service is stopping.
        """
        entry = Entry(txn, deadline, ended)
        with self._lock:
            if self._stopping:
                raise Unavailable("the service is stopping.")
            self._waiting.append(entry)
            self._wanted.set()
        return entry

    def give_up(self, entry: Entry) -> None:
        """End an entry that has no outcome yet with the error of one that takes too long."""
        with self._lock:
            waits = entry in self._waiting
            if waits:
                self._waiting.remove(entry)
        if waits:
            entry.fail(Unavailable("the store did not answer in time."))
        else:
            entry.fail(
                OutcomeUnknown(
                    "the store did not confirm the write in time, and may have made it. Read to find "
                    "out, or send the same request again with an Idempotency-Key."
                )
            )

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            with self._lock:
                batch = _next_batch(self._waiting)
                if not self._waiting:
                    if self._stopping and not batch:
                        return
                    self._wanted = self._new_wake_up()
                    if self._stopping:
                        self._wanted.set()
            if batch:
                self._send(batch)

    def _send(self, batch: list[Entry]) -> None:
        if len(batch) == 1:
            self._send_single(batch[0])
            return
        try:
            succeeded, revision = self._transact_all(
                [entry.txn for entry in batch], max(entry.deadline for entry in batch)
            )
        except (LeaseExpired, TooLarge):
            # One of them makes the whole batch fail, and nothing was written.
            for entry in batch:
                self._send_single(entry)
        except FactstoreError as error:
            for entry in batch:
                entry.fail(copy(error))
        except Exception as error:  # noqa: BLE001 - the callers wait for an outcome
            for entry in batch:
                entry.fail(error)
        else:
            for entry, success in zip(batch, succeeded, strict=True):
                entry.finish(success, revision)

    def _send_single(self, entry: Entry) -> None:
        try:
            entry.finish(*self._transact(entry.txn, entry.deadline))
        except Exception as error:  # noqa: BLE001 - the caller waits for an outcome
            entry.fail(error)


@dataclass(eq=False, slots=True)
class Entry:
    """A waiting transaction; its size is computed once, however many batches are made meanwhile."""

    txn: Txn
    deadline: float
    ended: Callable[[Entry], object]
    size: int = field(init=False)
    bytes: int = field(init=False)
    has_ended: bool = False
    succeeded: bool = False
    revision: int = 0
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.size, self.bytes = self.txn.size, self.txn.bytes

    def finish(self, succeeded: bool, revision: int) -> None:
        """Set the outcome, unless there is one."""
        if not self.has_ended:
            self.succeeded, self.revision = succeeded, revision
            self._end()

    def fail(self, error: Exception) -> None:
        """Set an error as the outcome, unless there is one."""
        if not self.has_ended:
            self.error = error
            self._end()

    def _end(self) -> None:
        self.has_ended = True
        try:
            self.ended(self)
        except Exception:  # the others of the batch have to be notified, too
            LOG.exception("A writer failed.")


@dataclass(slots=True)
class KeyRanges:
    """A set of ranges of keys, in which a key is found in logarithmic time."""

    starts: list[bytes] = field(default_factory=list)
    ends: list[bytes] = field(default_factory=list)

    def add(self, start: bytes, end: bytes) -> None:
        """Add a range, and merge it with those that it overlaps."""
        first, last = bisect_left(self.ends, start), bisect_right(self.starts, end)
        if first < last:
            start, end = min(start, self.starts[first]), max(end, self.ends[last - 1])
        self.starts[first:last], self.ends[first:last] = [start], [end]

    def __contains__(self, key: bytes) -> bool:
        at = bisect_right(self.starts, key) - 1
        return at >= 0 and key < self.ends[at]


@dataclass(slots=True)
class ConflictSet:
    """The keys that the transactions of a batch write, and those that they compare."""

    written: list[bytes] = field(default_factory=list)
    compared: set[bytes] = field(default_factory=set)
    compared_ranges: KeyRanges = field(default_factory=KeyRanges)

    def conflicts_with(self, txn: Txn) -> bool:
        """Return True if a transaction must not be in the same batch."""
        for operation in txn.operations:
            if isinstance(operation, GetKey):
                continue
            if isinstance(operation, DeleteKeys) and operation.end:
                return True  # the deletion of a range is always sent alone
            key = operation.key
            if self._wrote(key, key + b"\0") or key in self.compared:
                return True
            if key in self.compared_ranges:
                return True
        return any(
            self._wrote(compare.key, compare.end or compare.key + b"\0") for compare in txn.compares
        )

    def add(self, txn: Txn) -> None:
        """Add the keys of a transaction."""
        for operation in txn.operations:
            if not isinstance(operation, GetKey):
                insort(self.written, operation.key)
        for compare in txn.compares:
            if compare.end:
                self.compared_ranges.add(compare.key, compare.end)
            else:
                self.compared.add(compare.key)

    def _wrote(self, start: bytes, end: bytes) -> bool:
        at = bisect_left(self.written, start)
        return at < len(self.written) and self.written[at] < end


def _next_batch(waiting: deque[Entry]) -> list[Entry]:
    """Take the next batch in order of arrival; transactions that conflict or do not fit stay."""
    batch: list[Entry] = []
    remaining: list[Entry] = []
    conflicts = ConflictSet()
    room, largest = BATCH_BYTES, 1
    while waiting and len(batch) + 1 + largest <= BATCH_SIZE:
        entry = waiting.popleft()
        fits = entry.bytes <= room and len(batch) + 1 + max(largest, entry.size) <= BATCH_SIZE
        # A full store refuses a batch with puts, but still accepts deletions.
        alike = not batch or batch[0].txn.only_deletes == entry.txn.only_deletes
        if batch and (not fits or not alike or conflicts.conflicts_with(entry.txn)):
            remaining.append(entry)  # it is the first of the next batch
            continue
        batch.append(entry)
        if not fits:
            break
        conflicts.add(entry.txn)
        room -= entry.bytes
        largest = max(largest, entry.size)
    waiting.extendleft(reversed(remaining))
    return batch
