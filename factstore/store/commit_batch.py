"""The next batch of waiting transactions, and which of them must not be in the same batch.

All compares of a batch see the store as it was *before* the batch.  Two writes therefore must not be in
one batch if one of them changes a key that the other compares: otherwise ``a`` and ``a/b`` could both
be created, because neither sees the other.  A write that conflicts waits for the next batch.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from factstore.store.types import MESSAGE_BYTES, DeleteKeys, GetKey, Txn

LOG = logging.getLogger(__name__)

# etcd allows 128 operations and compares for a batch: one for the fence, one for each transaction in
# it, and the size of the largest.
BATCH_SIZE = 127
BATCH_BYTES = 1024 * 1024


class Entry:
    """A waiting transaction; its size is computed once, however many batches are made meanwhile."""

    __slots__ = (
        "_ended",
        "bytes",
        "deadline",
        "error",
        "has_ended",
        "only_deletes",
        "revision",
        "size",
        "succeeded",
        "txn",
    )

    def __init__(self, txn: Txn, deadline: float, ended: Callable[[], object]) -> None:
        """:param ended: called when it has an outcome."""
        self.txn, self.deadline = txn, deadline
        if txn.message:  # of puts, or of guards to confirm
            self.size = max(len(txn.compares), len(txn.operations))
            self.bytes, self.only_deletes = len(txn.message) + MESSAGE_BYTES, False
        else:
            self.size, self.bytes, self.only_deletes = txn.size, txn.bytes, txn.only_deletes
        self.has_ended = self.succeeded = False
        self.revision = 0
        self.error: Exception | None = None
        self._ended: Callable[[], object] = ended

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
            self._notify()
        except Exception:  # the others of the batch have to be notified, too
            LOG.exception("A writer failed.")

    def _notify(self) -> None:
        self._ended()


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
    """The keys that the transactions of a batch write, and those that they compare.

    :param ordered: the keys that are written, in order, once a range is compared.
    """

    written: set[bytes] = field(default_factory=set)
    compared: set[bytes] = field(default_factory=set)
    compared_ranges: KeyRanges = field(default_factory=KeyRanges)
    ordered: list[bytes] | None = None

    def conflicts_with(self, txn: Txn) -> bool:
        """Return True if a transaction must not be in the same batch."""
        written, compared, ranges = self.written, self.compared, self.compared_ranges
        for operation in txn.operations:
            if isinstance(operation, GetKey):
                continue
            if isinstance(operation, DeleteKeys) and operation.end:
                return True  # the deletion of a range is always sent alone
            key = operation.key
            if key in written or key in compared or (ranges.starts and key in ranges):
                return True
        for compare in txn.compares:
            if compare.key in written or (compare.end and self._wrote(compare.key, compare.end)):
                return True
        return False

    def add(self, txn: Txn) -> None:
        """Add the keys of a transaction."""
        for operation in txn.operations:
            if not isinstance(operation, GetKey):
                self.written.add(operation.key)
                if self.ordered is not None:
                    insort(self.ordered, operation.key)
        for compare in txn.compares:
            if compare.end:
                self.compared_ranges.add(compare.key, compare.end)
            else:
                self.compared.add(compare.key)

    def _wrote(self, start: bytes, end: bytes) -> bool:
        if self.ordered is None:
            self.ordered = sorted(self.written)
        at = bisect_left(self.ordered, start)
        return at < len(self.ordered) and self.ordered[at] < end


def next_batch(waiting: deque[Entry]) -> list[Entry]:
    """Take the next batch in order of arrival; transactions that conflict or do not fit stay."""
    if len(waiting) == 1:
        return [waiting.popleft()]
    batch: list[Entry] = []
    remaining: list[Entry] = []
    conflicts = ConflictSet()
    room, largest = BATCH_BYTES, 1
    while waiting and len(batch) + 1 + largest <= BATCH_SIZE:
        entry = waiting.popleft()
        fits = entry.bytes <= room and len(batch) + 1 + max(largest, entry.size) <= BATCH_SIZE
        # A full store refuses a batch with puts, but still accepts deletions.
        alike = not batch or batch[0].only_deletes == entry.only_deletes
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
