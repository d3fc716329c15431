"""Commits that nobody waits for end once, with their revision or their error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.store.attempt_fence import AttemptFence
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.started_commit import VISIBLE_SECONDS, BatchedCommit
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
    BatchedCommit(batcher, TXN, 9e9, outcome, Shown(at_once=True), ManualClock())
    assert outcome.ended.wait(60)
    error = answer if isinstance(answer, Unavailable) else None
    assert outcome.found == [(expected, error)]
    batcher.stop()


def test_a_transaction_that_takes_too_long_ends_as_it_would_for_one_that_waits() -> None:
    etcd, sent, waiting = Etcd(), Outcome(), Outcome()
    batcher = CommitBatcher(etcd.transact_all, FENCE, ManualClock(), threading.Event)
    batcher.start()
    shown, clock = Shown(at_once=True), ManualClock()
    commits = [BatchedCommit(batcher, TXN, 1005.0, sent, shown, clock)]
    assert etcd.arrived.wait(60)
    commits.append(BatchedCommit(batcher, TXN, 1005.0, waiting, shown, clock))
    for now in (1004.0, 1006.0, 1007.0):
        assert not (sent.found or waiting.found) or now == 1007.0
        for commit in commits:
            commit.expire(now)
    assert [type(error) for _, error in sent.found] == [OutcomeUnknown]
    assert [type(error) for _, error in waiting.found] == [Unavailable]
    etcd.permitted.set()
    batcher.stop()
    assert len(sent.found) == len(waiting.found) == 1


class Shown:
    """A state that includes what the test decides."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.waiting: list[tuple[int, Callable[[], object]]] = []
        self.lags: list[float] = []

    def call_when_reached(self, revision: int, reached: Callable[[], object]) -> bool:
        self.waiting.append((revision, reached))
        return self.at_once

    def observe_lag(self, seconds: float) -> None:
        self.lags.append(seconds)


def durable(shown: Shown, outcome: Outcome, clock: ManualClock) -> BatchedCommit:
    """Return a commit that etcd has confirmed at revision 7."""
    batcher = CommitBatcher(Etcd().transact_all, FENCE, clock, threading.Event)
    commit = BatchedCommit(batcher, TXN, 9e9, outcome, shown, clock)
    commit.finish(succeeded=True, revision=7)
    return commit


def test_a_write_ends_when_the_state_includes_it() -> None:
    shown, outcome, clock = Shown(), Outcome(), ManualClock()
    commit = durable(shown, outcome, clock)
    clock.advance(0.5)
    commit.expire(clock.monotonic())
    assert outcome.found == []
    ((revision, reached),) = shown.waiting
    reached()
    reached()
    assert (revision, outcome.found, shown.lags) == (7, [(7, None)], [0.5])
    known = Outcome()
    durable(Shown(at_once=True), known, clock)
    assert known.found == [(7, None)]


def test_a_durable_write_that_the_state_does_not_include_is_a_success_after_a_while() -> None:
    outcome, clock = Outcome(), ManualClock()
    commit = durable(Shown(), outcome, clock)
    clock.advance(VISIBLE_SECONDS + 0.5)
    commit.expire(clock.monotonic())
    commit.expire(clock.monotonic())
    assert outcome.found == [(7, None)]
