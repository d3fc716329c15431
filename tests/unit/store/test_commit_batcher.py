"""Batches of writes that a thread sends: the outcome of each write."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.types import Fence, Txn
from tests.unit.store.batches import Clock, fence, put


class Etcd:
    """Scripted outcomes; the first call waits until the test has queued the others."""

    def __init__(self) -> None:
        self.calls: list[list[Txn]] = []
        self.release = threading.Event()
        self.entered = threading.Event()

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        self.calls.append(list(txns))
        if len(txns) == 1:
            self.entered.set()
            assert self.release.wait(60)
            return [True], len(self.calls)
        return [txn.operations[0].key != b"loser" for txn in txns], len(self.calls)


class Callers:
    """Threads that send transactions, and their outcomes by key."""

    def __init__(self, batcher: CommitBatcher) -> None:
        self._batcher = batcher
        self.answers: dict[bytes, object] = {}
        self._threads: list[threading.Thread] = []

    def call(self, key: bytes) -> None:
        thread = threading.Thread(target=self._run, args=(key,))
        self._threads.append(thread)
        thread.start()

    def _run(self, key: bytes) -> None:
        try:
            self.answers[key] = self._batcher.transact(put(key), time.monotonic() + 60)
        except Exception as error:  # noqa: BLE001 - the test looks at whatever it is
            self.answers[key] = error

    def join(self) -> dict[bytes, object]:
        for thread in self._threads:
            thread.join(60)
        return self.answers


def run_batch(etcd: Etcd, *keys: bytes) -> dict[bytes, object]:
    """Return all outcomes if all *keys* arrive while the first call is running."""
    batcher = CommitBatcher(etcd.transact_all, fence(), Clock(), threading.Event)
    batcher.start()
    callers = Callers(batcher)
    try:
        callers.call(b"first")
        assert etcd.entered.wait(60)
        for key in keys:
            callers.call(key)
        deadline = time.monotonic() + 60
        while len(batcher._waiting) < len(keys):
            assert time.monotonic() < deadline
            threading.Event().wait(0.001)
        etcd.release.set()
        return callers.join()
    finally:
        etcd.release.set()
        batcher.stop()


def test_transactions_that_arrive_during_a_request_are_batched() -> None:
    etcd = Etcd()
    answers = run_batch(etcd, b"a", b"b", b"c")
    assert [len(call) for call in etcd.calls] == [1, 3]
    assert answers[b"a"] == answers[b"b"] == answers[b"c"] == (True, 2)


def test_each_transaction_gets_its_own_outcome() -> None:
    answers = run_batch(Etcd(), b"a", b"loser")
    assert answers[b"a"] == (True, 2)
    assert answers[b"loser"] == (False, 2)


def test_a_transaction_that_is_not_sent_before_its_deadline_is_not_written() -> None:
    etcd = Etcd()
    batcher = CommitBatcher(etcd.transact_all, fence(), Clock(), threading.Event)
    batcher.start()
    callers = Callers(batcher)
    callers.call(b"first")
    assert etcd.entered.wait(60)
    with pytest.raises(Unavailable):
        batcher.transact(put(b"late"), time.monotonic())
    etcd.release.set()
    callers.join()
    batcher.stop()
    assert [o.key for call in etcd.calls for g in call for o in g.operations] == [b"first"]


def test_the_outcome_of_a_transaction_without_an_answer_is_unknown() -> None:
    etcd = Etcd()
    batcher = CommitBatcher(etcd.transact_all, fence(), Clock(), threading.Event)
    batcher.start()
    answers: list[BaseException] = []

    def call() -> None:
        try:
            batcher.transact(put(b"slow"), time.monotonic() + 2)
        except OutcomeUnknown as error:
            answers.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert etcd.entered.wait(60)
    caller.join(60)
    etcd.release.set()
    batcher.stop()
    assert len(answers) == 1
