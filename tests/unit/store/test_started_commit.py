"""Commits that nobody waits for end once, with their revision or their error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.core.ports import CommitEnded
from factstore.store.attempt_fence import AttemptFence
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.started_commit import BatchedCommit, VisibleCommit
from factstore.store.types import Fence, LeaseExpired, PutKey, Txn
from tests.unit.core.factories import ManualClock

FENCE = AttemptFence(b"fences/0", lambda known, deadline: known.revision)
TXN = Txn((), (PutKey(b"a", b"v"),))


class Etcd:
    """Answers transactions when the test permits it."""

    def __init__(self) -> None:
        self.arrived, self.permitted = threading.Event(), threading.Event()
        self.answer: tuple[bool, int] | Exception = (True, 7)

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        self.arrived.set()
        assert self.permitted.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        succeeded, revision = self.answer
        return [succeeded], revision


class Outcome:
    """The outcome of a commit."""

    def __init__(self) -> None:
        self.found: list[tuple[int | None, Exception | None]] = []
        self.ended = threading.Event()

    def __call__(self, revision: int | None, error: Exception | None) -> None:
        self.found.append((revision, error))
        self.ended.set()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [((True, 7), 7), ((False, 7), None), (LeaseExpired(), None), (Unavailable("away"), None)],
)
def test_a_transaction_ends_with_its_revision_or_its_error(
    answer: tuple[bool, int] | Exception, expected: int | None
) -> None:
    etcd, outcome = Etcd(), Outcome()
    etcd.answer = answer
    etcd.permitted.set()
    batcher = CommitBatcher(etcd.transact_all, FENCE, ManualClock(), threading.Event)
    batcher.start()
    BatchedCommit(batcher, TXN, 9e9, outcome)
    assert outcome.ended.wait(60)
    error = answer if isinstance(answer, Unavailable) else None
    assert outcome.found == [(expected, error)]
    batcher.stop()


def test_a_transaction_that_takes_too_long_ends_as_it_would_for_one_that_waits() -> None:
    etcd, sent, waiting = Etcd(), Outcome(), Outcome()
    batcher = CommitBatcher(etcd.transact_all, FENCE, ManualClock(), threading.Event)
    batcher.start()
    commits = [BatchedCommit(batcher, TXN, 1005.0, sent)]
    assert etcd.arrived.wait(60)
    commits.append(BatchedCommit(batcher, TXN, 1005.0, waiting))
    for now in (1004.0, 1006.0, 1007.0):
        assert not (sent.found or waiting.found) or now == 1007.0
        for commit in commits:
            commit.expire(now)
    assert [type(error) for _, error in sent.found] == [OutcomeUnknown]
    assert [type(error) for _, error in waiting.found] == [Unavailable]
    etcd.permitted.set()
    batcher.stop()
    assert len(sent.found) == len(waiting.found) == 1


class Inner:
    """A commit whose end the test decides."""

    def __init__(self) -> None:
        self.end: CommitEnded = lambda revision, error: None
        self.expired: list[float] = []

    def start(self, ended: CommitEnded) -> Inner:
        self.end = ended
        return self

    def expire(self, now: float) -> None:
        self.expired.append(now)


def test_a_write_ends_when_the_state_includes_it() -> None:
    inner, outcome, clock, lags = Inner(), Outcome(), ManualClock(), list[float]()
    reached: list[Callable[[], object]] = []

    def visible(revision: int, reach: Callable[[], object]) -> bool:
        assert revision == 7
        reached.append(reach)
        return False

    commit = VisibleCommit(inner.start, visible, clock, 1.0, lags.append, outcome)
    commit.expire(1.0)
    assert inner.expired == [1.0]
    inner.end(7, None)
    clock.advance(0.5)
    commit.expire(clock.monotonic())
    assert outcome.found == []
    reached[0]()
    reached[0]()
    assert (outcome.found, lags) == ([(7, None)], [0.5])


def test_a_durable_write_that_the_state_does_not_include_is_a_success_after_a_while() -> None:
    inner, outcome, clock = Inner(), Outcome(), ManualClock()
    commit = VisibleCommit(inner.start, lambda *_: False, clock, 1.0, lambda _: None, outcome)
    inner.end(7, None)
    clock.advance(1.5)
    commit.expire(clock.monotonic())
    commit.expire(clock.monotonic())
    assert outcome.found == [(7, None)]
    failed = Outcome()
    VisibleCommit(inner.start, lambda *_: False, clock, 1.0, lambda _: None, failed)
    inner.end(None, Unavailable("away"))
    assert [type(error) for _, error in failed.found] == [Unavailable]
    assert not VisibleCommit(lambda _: None, lambda *_: True, clock, 1, print, failed).started
