"""Transactions, and what sends them, for the tests of batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from factstore.store.attempt_fence import AttemptFence
from factstore.store.batch_calls import BatchEnded
from factstore.store.client.encoding import encode_compare, encode_operations
from factstore.store.commit_batch import Entry, WaitingEntries
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.types import (
    AnyTxn,
    Compare,
    FactTxn,
    Fence,
    Fenced,
    PutKey,
    Txn,
)


class Clock:
    monotonic = staticmethod(time.monotonic)

    def timestamp(self) -> str:
        return "2026-01-01T00:00:00.000000Z"


def put(key: bytes, value: bytes = b"v", *compares: Compare) -> Txn:
    return Txn(compares or (Compare(key, "mod", "==", 0),), (PutKey(key, value),))


def creation(path: bytes, *above: bytes) -> Txn:
    compares = [Compare(path + b"/", "create", "==", 0, path + b"0")]
    compares += [Compare(key, "create", "==", 0) for key in above]
    return put(path, b"v", *compares)


def fence() -> AttemptFence:
    """Return a fence that no test raises."""
    return AttemptFence(b"fences/0", lambda known, deadline: known.revision)


def fact_txn(txn: Txn) -> FactTxn:
    """Return the same transaction as its message."""
    compares, puts = list(map(encode_compare, txn.compares)), encode_operations(txn.operations)
    return FactTxn(compares, puts, txn.written, txn.compared, txn.compared_ranges)


def entry(txn: AnyTxn) -> Entry:
    return Entry(txn, time.monotonic() + 60, lambda: None)


def taken(*txns: AnyTxn) -> tuple[list[AnyTxn], list[AnyTxn]]:
    """Return the first batch, and the transactions that remain for later batches."""
    waiting = waiting_entries(*txns)
    batch = [each.txn for each in waiting.next_batch()]
    return batch, [each.txn for each in waiting.take_all()]


def waiting_entries(*txns: AnyTxn) -> WaitingEntries:
    waiting = WaitingEntries()
    for each in txns:
        waiting.add(entry(each))
    return waiting


def of_project(name: str, number: int) -> Txn:
    """Return a put of a project."""
    key = b"%b/%d" % (name.encode(), number)
    return Txn((Compare(key, "mod", "==", 0),), (PutKey(key, b"v"),), project_id=name)


class Loop:
    """Sends batches, which end when the test ends them."""

    def __init__(self) -> None:
        self.open = True
        self.deferred: list[Callable[[], object]] = []
        self.batches: list[tuple[list[AnyTxn], BatchEnded]] = []
        self.fences: list[int] = []

    def defer(self, call: Callable[[], object]) -> None:
        self.deferred.append(call)

    def transact_all(
        self, txns: Sequence[AnyTxn], deadline: float, fence: Fence, ended: BatchEnded
    ) -> bool:
        if self.open:
            self.batches.append((list(txns), ended))
            self.fences.append(fence.revision)
        return self.open

    def turn(self) -> None:
        self.deferred.pop()()


@dataclass
class Written:
    """The entries that ended, and the transactions that the thread sent."""

    ended: list[Entry] = field(default_factory=list)
    sent: SimpleQueue[AnyTxn] = field(default_factory=SimpleQueue)
    raised: int = 0

    def transact_all(
        self, txns: Sequence[AnyTxn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        if fence.revision < self.raised:
            raise Fenced(self.raised)
        for txn in txns:
            self.sent.put(txn)
        return [True] * len(txns), 9


class Noted(Entry):
    """An entry that is noted when it ends."""

    def __init__(self, txn: AnyTxn, written: Written) -> None:
        super().__init__(txn, time.monotonic() + 60, lambda: written.ended.append(self))


def send(batcher: CommitBatcher, written: Written, *keys: bytes) -> None:
    for key in keys:
        batcher.send(Noted(put(key), written))
