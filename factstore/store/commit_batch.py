"""The next batch of waiting transactions, and which of them must not be in the same batch.

All compares of a batch see the store as it was *before* the batch.  Two writes therefore must not be in
one batch if one of them changes a key that the other compares: otherwise ``a`` and ``a/b`` could both
be created, because neither sees the other.  A write that conflicts waits for the next batch.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import field

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.store.types import AnyTxn, FactTxn

LOG = logging.getLogger(__name__)

# etcd allows 128 operations and compares for a batch: one for the fence, one for each transaction in
# it, and the size of the largest.
BATCH_SIZE = 127
BATCH_BYTES = 1024 * 1024
# The answers to a batch arrive at once, and those of others wait until the worker has dealt with them.
SHARE = 16
"""The most transactions of one project in a batch while several projects use the worker."""


def united(txns: Sequence[AnyTxn]) -> FactTxn | None:
    """Return a transaction that does what all of some do, and nothing if one of them would fail.

    etcd needs two thirds of the time for it, because what several compare is compared once, and nothing
    is nested.

    :return: None if it would be too large, or if one of them does more than to store facts.
    """
    compares: dict[bytes, None] = {}
    written: list[bytes] = []
    puts = []
    for txn in txns:
        if type(txn) is not FactTxn:
            return None
        compares.update(dict.fromkeys(txn.compares))
        written += txn.written
        puts.append(txn.puts)
    if max(len(compares), len(written)) > BATCH_SIZE:
        return None
    return FactTxn(tuple(compares), b"".join(puts), written)


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

    def __init__(self, txn: AnyTxn, deadline: float, ended: Callable[[], object]) -> None:
        """:param ended: called when it has an outcome."""
        self.txn, self.deadline = txn, deadline
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


def finish_all(batch: Sequence[Entry], succeeded: Sequence[bool], revision: int) -> None:
    """Set the outcomes of a batch that etcd has carried out."""
    for entry, success in zip(batch, succeeded, strict=True):
        entry.finish(success, revision)


@quick_dataclass(slots=True)
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


@quick_dataclass(slots=True)
class ConflictSet:
    """The keys that the transactions of a batch write, and those that they compare.

    :param ordered: the keys that are written, in order, once a range is compared.
    """

    written: set[bytes] = field(default_factory=set)
    compared: set[bytes] = field(default_factory=set)
    compared_ranges: KeyRanges = field(default_factory=KeyRanges)
    ordered: list[bytes] | None = None

    def conflicts_with(self, txn: AnyTxn) -> bool:
        """Return True if a transaction must not be in the same batch."""
        written, own = self.written, txn.written
        if txn.deletes_range:
            return True  # the deletion of a range is always sent alone
        if not (written.isdisjoint(own) and self.compared.isdisjoint(own)):
            return True
        if not written.isdisjoint(txn.compared):
            return True
        ranges = self.compared_ranges
        if ranges.starts and any(key in ranges for key in own):
            return True
        return any(self._wrote(start, end) for start, end in txn.compared_ranges)

    def add(self, txn: AnyTxn) -> None:
        """Add the keys of a transaction."""
        self.written.update(txn.written)
        if self.ordered is not None:
            for key in txn.written:
                insort(self.ordered, key)
        self.compared.update(txn.compared)
        for start, end in txn.compared_ranges:
            self.compared_ranges.add(start, end)

    def _wrote(self, start: bytes, end: bytes) -> bool:
        if self.ordered is None:
            self.ordered = sorted(self.written)
        at = bisect_left(self.ordered, start)
        return at < len(self.ordered) and self.ordered[at] < end


class WaitingEntries:
    """The transactions that wait for a batch, in a queue for each project."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[str, deque[Entry]] = {}  # none is empty

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, entry: Entry) -> None:
        """Add a transaction behind the others of its project."""
        queue = self._queues.get(entry.txn.project_id)
        if queue is None:
            queue = self._queues[entry.txn.project_id] = deque()
        queue.append(entry)

    def remove(self, entry: Entry) -> bool:
        """Remove a transaction; return False if it does not wait."""
        queue = self._queues.get(entry.txn.project_id)
        if queue is None or entry not in queue:
            return False
        queue.remove(entry)
        if not queue:
            del self._queues[entry.txn.project_id]
        return True

    def take_all(self) -> list[Entry]:
        """Take all transactions."""
        queues, self._queues = self._queues, {}
        return [entry for queue in queues.values() for entry in queue]

    def next_batch(self, share: int = BATCH_SIZE) -> list[Entry]:
        """Take the next batch; the transactions that conflict with it or do not fit stay.

        The projects take turns, so that none waits behind all transactions of another one.  Those of a
        project are taken in the order of their arrival.

        :param share: the most transactions of one project.
        """
        if len(self) == 1:
            return self.take_all()
        batch: list[Entry] = []
        conflicts = ConflictSet()
        room, largest = BATCH_BYTES, 1
        taken: dict[str, int] = {}
        skipped: dict[str, list[Entry]] = {}
        turns = deque(self._queues)
        while turns and len(batch) + 1 + largest <= BATCH_SIZE and room > 0:
            project_id = turns.popleft()
            queue = self._queues[project_id]
            while queue:
                entry = queue.popleft()
                fits = (
                    entry.bytes <= room and len(batch) + 1 + max(largest, entry.size) <= BATCH_SIZE
                )
                # A full store refuses a batch with puts, but still accepts deletions.
                alike = not batch or batch[0].only_deletes == entry.only_deletes
                if batch and (not fits or not alike or conflicts.conflicts_with(entry.txn)):
                    skipped.setdefault(project_id, []).append(entry)
                    continue
                batch.append(entry)
                taken[project_id] = taken.get(project_id, 0) + 1
                conflicts.add(entry.txn)
                room -= entry.bytes
                largest = max(largest, entry.size)
                if taken[project_id] < share:
                    turns.append(project_id)
                break
        for project_id, entries in skipped.items():
            self._queues[project_id].extendleft(reversed(entries))  # the first of the next batch
        for project_id in taken:  # others are the first of the next batch
            queue = self._queues.pop(project_id)
            if queue:
                self._queues[project_id] = queue
        return batch
