"""Batches of writes that are sent in a loop, and what a thread does with those that are not."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from factstore.core.errors import OutcomeUnknown, StorageFull, Unavailable
from factstore.store.attempt_fence import AttemptFence
from factstore.store.client import Failure
from factstore.store.commit_batch import SHARE, Entry
from factstore.store.commit_batcher import ATTEMPTS, CommitBatcher
from factstore.store.types import Fence, Fenced, Txn
from tests.eventually import eventually
from tests.unit.store.batches import (
    Clock,
    Loop,
    Noted,
    Written,
    fence,
    of_project,
    put,
    send,
)


def test_while_projects_share_the_worker_each_has_a_part_of_a_batch(
    loop: Loop, written: Written
) -> None:
    shares = [False]
    made = CommitBatcher(
        written.transact_all, fence(), Clock(), threading.Event, loop, lambda: shares[0]
    )
    for number in range(3 * SHARE):
        made.send(Noted(of_project("loud", number), written))
    shares[0] = True
    loop.turn()
    made.send(Noted(of_project("quiet", 0), written))
    shares[0] = False
    loop.batches[0][1](([True] * SHARE, 1))
    assert [len(txns) for txns, _ in loop.batches] == [SHARE, 2 * SHARE + 1]
    assert loop.batches[1][0][1] == of_project("quiet", 0)


@pytest.mark.parametrize("first", [0, 1])
def test_writes_of_one_turn_and_those_while_all_attempts_run_are_sent_together(
    batcher: CommitBatcher, loop: Loop, written: Written, first: int
) -> None:
    send(batcher, written, b"a", b"b")
    loop.turn()
    assert loop.batches[-1][0] == [put(b"a"), put(b"b")]
    send(batcher, written, b"c")
    loop.turn()
    assert loop.batches[-1][0] == [put(b"c")]
    assert len(loop.batches) == ATTEMPTS
    send(batcher, written, b"d", b"e")
    assert loop.deferred == []
    txns, ended = loop.batches.pop(first)
    ended(([len(txns) == 1] * len(txns), 7))
    ends = [(each.txn, each.succeeded, each.revision) for each in written.ended]
    assert ends == [(txn, len(txns) == 1, 7) for txn in txns]
    assert loop.batches[-1][0] == [put(b"d"), put(b"e")]
    for txns, ended in loop.batches:
        ended(([True] * len(txns), 8))
    assert len(written.ended) == 5
    send(batcher, written, b"f")
    assert len(loop.deferred) == 1
    loop.turn()
    loop.batches.pop()[1](([True], 9))


@pytest.mark.parametrize("starts", [True, False])
def test_a_batch_that_was_not_carried_out_is_left_to_the_thread(
    batcher: CommitBatcher, loop: Loop, written: Written, starts: bool
) -> None:
    loop.open = starts
    send(batcher, written, b"a", b"b")
    loop.turn()
    if starts:
        loop.batches.pop()[1](Failure.REFUSED)
    assert {written.sent.get(timeout=60), written.sent.get(timeout=60)} == {put(b"a"), put(b"b")}
    eventually(lambda: len(written.ended) == 2)
    assert all(each.revision == 9 for each in written.ended)
    eventually(lambda: not batcher._running)
    loop.open = True
    send(batcher, written, b"c")
    loop.turn()
    loop.batches.pop()[1](([True], 10))
    assert written.ended[-1].revision == 10


def test_a_batch_that_may_have_been_carried_out_is_never_sent_again(
    batcher: CommitBatcher, loop: Loop, written: Written
) -> None:
    send(batcher, written, b"a", b"b")
    loop.turn()
    loop.batches.pop()[1](Failure.LOST)
    assert [type(each.error) for each in written.ended] == [OutcomeUnknown, OutcomeUnknown]
    assert written.ended[0].error is not written.ended[1].error
    assert written.sent.empty()


@dataclass
class SlowFence:
    """A fence that is raised when the test allows it."""

    allowed: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def raise_key(self, known: Fence, deadline: float) -> int:
        self.asked.set()
        assert self.allowed.wait(60)
        if self.error is not None:
            raise self.error
        return known.revision + 5

    def fence(self) -> AttemptFence:
        return AttemptFence(b"fences/0", self.raise_key)


@pytest.mark.parametrize("is_full", [True, False])
def test_after_a_lost_attempt_nothing_is_sent_before_the_fence_is_raised(
    loop: Loop, written: Written, is_full: bool
) -> None:
    slow = SlowFence(error=StorageFull("full") if is_full else None)
    made = CommitBatcher(written.transact_all, slow.fence(), Clock(), threading.Event, loop)
    made.start()
    send(made, written, b"a")
    loop.turn()
    late = Entry(put(b"late"), time.monotonic() + 60, lambda: None)
    made.send(late)
    send(made, written, b"b")
    loop.batches.pop()[1](Failure.LOST)
    assert isinstance(written.ended[0].error, OutcomeUnknown)
    assert slow.asked.wait(60)
    assert loop.batches == []
    made.give_up(late)
    assert isinstance(late.error, Unavailable)  # it was not sent, so its outcome is known
    assert not isinstance(late.error, OutcomeUnknown)
    slow.allowed.set()
    eventually(lambda: loop.batches)
    (txns, ended) = loop.batches.pop()
    assert txns == [put(b"b")]
    assert loop.fences[-1] == (0 if is_full else 5)
    ended(([True], 9))
    loop.open = False
    made.stop()
    assert not made.alive


def test_an_attempt_that_runs_beside_a_lost_one_keeps_its_outcome(
    loop: Loop, written: Written
) -> None:
    slow = SlowFence()
    slow.allowed.set()
    made = CommitBatcher(written.transact_all, slow.fence(), Clock(), threading.Event, loop)
    made.start()
    for key in (b"a", b"b"):
        send(made, written, key)
        loop.turn()
    lost, other = loop.batches
    loop.batches.clear()
    send(made, written, b"c")
    lost[1](Failure.LOST)
    other[1](([True], 7))
    errors = [(each.txn, type(each.error), each.revision) for each in written.ended[:2]]
    assert errors == [(put(b"a"), OutcomeUnknown, 0), (put(b"b"), type(None), 7)]
    eventually(lambda: loop.batches)
    assert loop.batches[0][0] == [put(b"c")]
    assert loop.fences == [0, 0, 5]
    loop.batches.pop()[1](([True], 9))
    loop.open = False
    made.stop()


@pytest.mark.parametrize(
    "error", [Unavailable("no endpoint can be reached"), ZeroDivisionError("a fault")]
)
def test_if_the_fence_cannot_be_raised_those_that_wait_are_refused_at_once(
    loop: Loop, written: Written, error: Exception
) -> None:
    slow = SlowFence(error=error)
    slow.allowed.set()
    made = CommitBatcher(written.transact_all, slow.fence(), Clock(), threading.Event, loop)
    made.start()
    send(made, written, b"a")
    loop.turn()
    loop.batches.pop()[1](Failure.LOST)
    for number in (1, 2):
        send(made, written, b"b")
        loop.turn()
        eventually(lambda n=number: len(written.ended) == 1 + n)
        assert isinstance(written.ended[-1].error, Unavailable)
        eventually(lambda: not made._running)
    assert loop.batches == []
    assert written.sent.empty()
    slow.error = None
    send(made, written, b"c")
    loop.turn()
    eventually(lambda: loop.batches)
    loop.batches.pop()[1](([True], 9))
    loop.open = False
    made.stop()


def test_a_lost_attempt_without_followers_holds_the_next_write(
    loop: Loop, written: Written
) -> None:
    slow = SlowFence()
    slow.allowed.set()
    made = CommitBatcher(written.transact_all, slow.fence(), Clock(), threading.Event, loop)
    made.start()
    send(made, written, b"a")
    loop.turn()
    loop.batches.pop()[1](Failure.LOST)
    assert not slow.asked.is_set()
    send(made, written, b"b")
    loop.turn()
    eventually(lambda: loop.batches)
    assert loop.fences[-1] == 5
    loop.batches.pop()[1](([True], 9))
    loop.open = False
    made.stop()


def test_an_attempt_that_the_thread_lost_holds_the_next_write() -> None:
    slow, fences = SlowFence(), []

    def transact_all(txns: Sequence[Txn], deadline: float, fence: Fence) -> tuple[list[bool], int]:
        fences.append(fence.revision)
        if len(fences) == 1:
            raise OutcomeUnknown("no answer")
        return [True] * len(txns), 9

    made = CommitBatcher(transact_all, slow.fence(), Clock(), threading.Event)
    made.start()
    with pytest.raises(OutcomeUnknown):
        made.transact(put(b"a"), time.monotonic() + 60)
    with pytest.raises(Unavailable):
        made.transact(put(b"b"), time.monotonic())
    slow.allowed.set()
    assert made.transact(put(b"c"), time.monotonic() + 60) == (True, 9)
    assert fences == [0, 5]
    made.stop()
    assert not made.alive


def test_a_write_that_arrives_just_after_the_thread_has_settled_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, fences, late = SlowFence(), [], Entry(put(b"b"), time.monotonic() + 60, lambda: None)
    slow.allowed.set()

    def transact_all(txns: Sequence[Txn], deadline: float, fence: Fence) -> tuple[list[bool], int]:
        fences.append(fence.revision)
        if len(fences) == 1:
            raise OutcomeUnknown("no answer")
        return [True] * len(txns), 9

    made = CommitBatcher(transact_all, slow.fence(), Clock(), threading.Event)
    settle, arriving = made._settle, [late]

    def settle_before_a_write_arrives() -> None:
        settle()
        if arriving:
            made.send(arriving.pop())

    monkeypatch.setattr(made, "_settle", settle_before_a_write_arrives)
    made.start()
    with pytest.raises(OutcomeUnknown):
        made.transact(put(b"a"), time.monotonic() + 60)
    made._wanted.set()
    eventually(lambda: late.succeeded)
    assert fences == [0, 5]
    made.stop()


@pytest.mark.parametrize("first_in_loop", [True, False])
def test_a_batch_that_was_fenced_off_is_sent_again_behind_the_raised_fence(
    batcher: CommitBatcher, loop: Loop, written: Written, first_in_loop: bool
) -> None:
    loop.open, written.raised = first_in_loop, 5
    send(batcher, written, b"a", b"b")
    loop.turn()
    if first_in_loop:
        loop.batches.pop()[1](Fenced(5))
    eventually(lambda: len(written.ended) == 2)
    assert all(each.error is None and each.revision == 9 for each in written.ended)
    eventually(lambda: not batcher._running)
    loop.open = True
    send(batcher, written, b"c")
    loop.turn()
    assert loop.fences[-1] == 5
    loop.batches.pop()[1](([True], 10))


def test_a_writer_that_fails_does_not_affect_the_others_of_its_batch(
    batcher: CommitBatcher, loop: Loop, written: Written
) -> None:
    batcher.send(Entry(put(b"a"), time.monotonic() + 60, lambda: 1 / 0))
    send(batcher, written, b"b")
    loop.turn()
    loop.batches.pop()[1](([True, True], 7))
    assert len(written.ended) == 1


def test_a_batch_in_the_loop_ends_before_the_batcher_stops(loop: Loop, written: Written) -> None:
    made = CommitBatcher(written.transact_all, fence(), Clock(), threading.Event, loop)
    made.start()
    send(made, written, b"a")
    loop.turn()
    stopping = threading.Thread(target=made.stop)
    stopping.start()
    eventually(lambda: made._stopping)
    assert written.ended == []
    loop.batches.pop()[1](([True], 7))
    stopping.join(60)
    assert not made.alive
    assert written.ended[0].revision == 7
    with pytest.raises(Unavailable):
        send(made, written, b"b")
