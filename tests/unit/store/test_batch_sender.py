"""Sending one batch: the outcome of each transaction, and what the fence learns."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from factstore.core.errors import FactstoreError, OutcomeUnknown, TooLarge, Unavailable
from factstore.store.batch_sender import BatchSender
from factstore.store.types import Fence, Fenced, LeaseExpired, Txn
from tests.unit.store.batches import Clock, Noted, Written, fence, put


class Etcd:
    """Scripted errors: of a batch with several transactions, of single ones, and of each attempt."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.fences: list[int] = []
        self.batch_error: Exception | None = None
        self.single_errors: dict[bytes, Exception] = {}
        self.errors: list[Exception] = []

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        keys = [txn.operations[0].key for txn in txns]
        self.calls.append(keys)
        self.fences.append(fence.revision)
        error = self.single_errors.get(keys[0]) if len(keys) == 1 else self.batch_error
        if self.errors:
            raise self.errors.pop(0)
        if error:
            raise error
        return [key != b"loser" for key in keys], len(self.calls)


@pytest.fixture
def etcd() -> Etcd:
    return Etcd()


def send(etcd: Etcd, *keys: bytes) -> dict[bytes, object]:
    """Send a batch, and return the outcomes by key."""
    batch = [Noted(put(key), Written()) for key in keys]
    BatchSender(etcd.transact_all, fence(), Clock()).send(batch)
    assert all(entry.has_ended for entry in batch)
    outcomes = [entry.error or (entry.succeeded, entry.revision) for entry in batch]
    return dict(zip(keys, outcomes, strict=True))


def test_each_transaction_of_a_batch_gets_its_own_outcome(etcd: Etcd) -> None:
    assert send(etcd, b"a", b"loser") == {b"a": (True, 1), b"loser": (False, 1)}


@pytest.mark.parametrize("error", [LeaseExpired(), TooLarge("too large")])
def test_a_transaction_that_makes_its_batch_fail_fails_alone(etcd: Etcd, error: Exception) -> None:
    etcd.batch_error = error
    etcd.single_errors = {b"bad": error}
    assert send(etcd, b"a", b"bad", b"c") == {b"a": (True, 2), b"bad": error, b"c": (True, 4)}
    assert etcd.calls == [[b"a", b"bad", b"c"], [b"a"], [b"bad"], [b"c"]]


@pytest.mark.parametrize("kind", [OutcomeUnknown, Unavailable])
def test_if_a_batch_fails_every_transaction_fails_with_an_error_of_its_own(
    etcd: Etcd, kind: type[FactstoreError]
) -> None:
    etcd.batch_error = kind("no answer")
    first, second = send(etcd, b"a", b"b").values()
    assert isinstance(first, kind)
    assert isinstance(second, kind)
    assert first is not second, "each is raised in another thread"
    assert etcd.calls == [[b"a", b"b"]], "it is not sent again"


def test_an_unexpected_error_reaches_those_who_wait(etcd: Etcd) -> None:
    etcd.batch_error = KeyError("a fault")
    assert set(send(etcd, b"a", b"b").values()) == {etcd.batch_error}


@pytest.mark.parametrize("error", [OutcomeUnknown("no answer"), Unavailable("not sent"), None])
def test_the_fence_learns_of_an_attempt_whose_outcome_is_unknown(
    etcd: Etcd, error: Exception | None
) -> None:
    attempts = fence()
    etcd.errors = [error] if error else []
    BatchSender(etcd.transact_all, attempts, Clock()).send([Noted(put(b"a"), Written())])
    assert attempts.has_lost is isinstance(error, OutcomeUnknown)


def test_a_batch_that_was_fenced_off_is_sent_behind_the_raised_fence(etcd: Etcd) -> None:
    etcd.errors = [Fenced(5), Fenced(7)]
    assert send(etcd, b"a") == {b"a": (True, 3)}
    assert etcd.fences == [0, 5, 7]


def test_a_batch_that_is_fenced_off_again_and_again_is_given_up(etcd: Etcd) -> None:
    entry = Noted(put(b"a"), Written())
    entry.deadline = time.monotonic()
    etcd.errors = [Fenced(5)]
    BatchSender(etcd.transact_all, fence(), Clock()).send([entry])
    assert isinstance(entry.error, Unavailable)
    assert etcd.fences == [0]
