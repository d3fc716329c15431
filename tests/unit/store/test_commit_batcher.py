"""Batches of writes: which writes can be in one batch, and the outcome of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import OutcomeUnknown, StorageFull, TooLarge, Unavailable
from factstore.store.attempt_fence import AttemptFence
from factstore.store.client import Failure
from factstore.store.commit_batch import (
    BATCH_BYTES,
    BATCH_SIZE,
    SHARE,
    ConflictSet,
    Entry,
    WaitingEntries,
)
from factstore.store.commit_batcher import ATTEMPTS, BatchEnded, CommitBatcher
from factstore.store.types import (
    Compare,
    DeleteKeys,
    Fence,
    Fenced,
    LeaseExpired,
    PutKey,
    Txn,
)
from tests.eventually import eventually

KEYS = [b"a", b"a/b", b"a/b/c", b"a0", b"b", b"record"]


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


def entry(txn: Txn) -> Entry:
    return Entry(txn, time.monotonic() + 10, lambda: None)


def taken(*txns: Txn) -> tuple[list[Txn], list[Txn]]:
    """Return the first batch, and the transactions that remain for later batches."""
    waiting = waiting_entries(*txns)
    batch = [each.txn for each in waiting.next_batch()]
    return batch, [each.txn for each in waiting.take_all()]


def waiting_entries(*txns: Txn) -> WaitingEntries:
    waiting = WaitingEntries()
    for each in txns:
        waiting.add(entry(each))
    return waiting


def of_project(name: str, number: int) -> Txn:
    """Return a put of a project."""
    key = b"%b/%d" % (name.encode(), number)
    return Txn((Compare(key, "mod", "==", 0),), (PutKey(key, b"v"),), project_id=name)


def test_writes_of_different_keys_share_a_transaction() -> None:
    batch, left = taken(put(b"a"), put(b"b"), put(b"c"))
    assert len(batch) == 3
    assert left == []


def test_two_writes_of_one_key_never_share_a_transaction() -> None:
    first, second = put(b"a"), put(b"a")
    assert taken(first, second) == ([first], [second])


@pytest.mark.parametrize("turn", [1, -1])
def test_a_fact_and_one_below_it_are_never_created_together(turn: int) -> None:
    pair = [creation(b"s/x"), creation(b"s/x/y", b"s/x")][::turn]
    assert taken(*pair) == ([pair[0]], [pair[1]])


def test_a_transaction_that_guards_a_key_is_not_batched_with_a_write_of_it() -> None:
    writer, txn = put(b"record"), put(b"a", b"v", Compare(b"record", "create", "==", 7))
    assert taken(writer, txn) == ([writer], [txn])
    assert taken(txn, writer) == ([txn], [writer])


def test_a_deletion_counts_as_a_write() -> None:
    deletion = Txn((), (DeleteKeys(b"a"),))
    assert taken(deletion, put(b"a"))[0] == [deletion]


def test_a_conflicting_transaction_leads_thenext_batch() -> None:
    first, clashing, other = put(b"a"), put(b"a"), put(b"b")
    batch, left = taken(first, clashing, other)
    assert batch == [first, other]
    assert left == [clashing]


def sized(key: bytes, compares: int) -> Txn:
    return put(key, b"v", *(Compare(key + b"%d" % n, "mod", "==", 0) for n in range(compares)))


def test_a_transaction_of_full_size_is_sent_alone() -> None:
    large = sized(b"z", BATCH_SIZE)
    assert taken(large, put(b"a"))[0] == [large]
    batch, left = taken(put(b"a"), large, put(b"b"))
    assert len(batch) == 2
    assert left == [large]


@given(st.lists(st.integers(1, BATCH_SIZE), min_size=1, max_size=300))
def test_a_batch_stays_below_etcds_limit_and_leaves_no_room_for_the_next(sizes: list[int]) -> None:
    batch, left = taken(*(sized(b"k%d/" % n, size) for n, size in enumerate(sizes)))
    largest = max(each.size for each in batch)
    assert len(batch) == 1 or len(batch) + largest <= BATCH_SIZE
    assert all(len(batch) + 1 + max(largest, each.size) > BATCH_SIZE for each in left)


def test_a_batch_stays_below_etcds_limit_of_bytes() -> None:
    big, _ = taken(*(put(b"k%d" % n, b"x" * 60_000) for n in range(50)))
    assert sum(each.bytes for each in big) <= BATCH_BYTES


def test_the_size_of_a_waiting_transaction_is_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed = []
    size = Txn.bytes.fget
    monkeypatch.setattr(Txn, "bytes", property(lambda txn: computed.append(txn) or size(txn)))
    waiting = waiting_entries(*(put(b"same") for _ in range(5)))
    while waiting:
        assert len(waiting.next_batch()) == 1
    assert len(computed) == 5


def test_a_write_does_not_wait_behind_a_thousand_of_another_project() -> None:
    loud = [of_project("loud", number) for number in range(1000)]
    waiting = waiting_entries(*loud, of_project("quiet", 0))
    assert [each.txn.project_id for each in waiting.next_batch()][:3] == ["loud", "quiet", "loud"]


@given(st.lists(st.sampled_from("abc"), max_size=120), st.integers(1, 20))
def test_projects_share_batches_in_turns_and_no_write_is_lost_or_overtaken_by_its_projects(
    projects: list[str], share: int
) -> None:
    arrivals = [of_project(name, number) for number, name in enumerate(projects)]
    waiting, sent = waiting_entries(*arrivals), list[Txn]()
    while waiting:
        before = {name for name in "abc" if len(sent) < len(arrivals)} & {
            txn.project_id for txn in arrivals if txn not in sent
        }
        batch = [each.txn for each in waiting.next_batch(share)]
        counts = {name: sum(txn.project_id == name for txn in batch) for name in before}
        assert all(1 <= count <= share for count in counts.values())
        assert {txn.project_id for txn in batch[: len(before)]} == before, "each has its turn"
        sent += batch
    for name in "abc":
        own = [txn for txn in arrivals if txn.project_id == name]
        assert [txn for txn in sent if txn.project_id == name] == own
    assert len(waiting) == 0
    assert len(sent) == len(arrivals)


def test_a_project_that_had_no_place_in_a_full_batch_is_the_first_in_the_next_one() -> None:
    full, late = sized(b"z", BATCH_SIZE), of_project("late", 0)
    waiting = waiting_entries(full, put(b"a"), late)
    assert [each.txn for each in waiting.next_batch()] == [full]
    assert [each.txn for each in waiting.next_batch()] == [late, put(b"a")]


def test_only_a_waiting_transaction_can_be_removed() -> None:
    waiting, known, other = WaitingEntries(), entry(put(b"a")), entry(put(b"b"))
    waiting.add(known)
    assert [waiting.remove(each) for each in (other, known, known)] == [False, True, False]
    assert not waiting


txns = st.builds(
    Txn,
    st.lists(
        st.builds(
            Compare,
            st.sampled_from(KEYS),
            st.just("create"),
            st.just("=="),
            st.just(0),
            st.sampled_from([b"", b"a0", b"z"]),
        ).filter(lambda compare: not compare.end or compare.key < compare.end),
        max_size=3,
    ),
    st.lists(st.builds(PutKey, st.sampled_from(KEYS), st.just(b"v")), min_size=1, max_size=2),
)


@given(st.lists(txns, max_size=12))
def test_no_transaction_of_a_batch_touches_keys_that_another_guards_or_writes(
    arrivals: list[Txn],
) -> None:
    batch, left = taken(*arrivals)
    assert sorted(map(id, batch + left)) == sorted(map(id, arrivals))
    for one in batch:
        for other in batch:
            if one is other:
                continue
            for operation in one.operations:
                key = operation.key
                assert key not in [o.key for o in other.operations]
                for compare in other.compares:
                    end = compare.end or compare.key + b"\0"
                    assert not compare.key <= key < end


@given(st.lists(txns, max_size=8), txns)
def test_conflicts_are_those_of_a_naive_check(batch: list[Txn], new: Txn) -> None:
    conflicts = ConflictSet()
    for txn in batch:
        conflicts.add(txn)
    ranges = [(c.key, c.end or c.key + b"\0") for txn in batch for c in txn.compares]
    written = [o.key for txn in batch for o in txn.operations]
    naive = any(
        o.key in written or any(start <= o.key < end for start, end in ranges)
        for o in new.operations
    ) or any(c.key <= key < (c.end or c.key + b"\0") for c in new.compares for key in written)
    assert conflicts.conflicts_with(new) == naive


class Etcd:
    """Scripted outcomes; the first call waits until the test has queued the others."""

    def __init__(self) -> None:
        self.calls: list[list[Txn]] = []
        self.release = threading.Event()
        self.entered = threading.Event()
        self.batch_error: Exception | None = None
        self.single_error: dict[bytes, Exception] = {}

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        self.calls.append(list(txns))
        if len(txns) == 1:
            self.entered.set()
            assert self.release.wait(10)
            error = self.single_error.get(txns[0].operations[0].key)
            if error:
                raise error
            return [True], len(self.calls)
        if self.batch_error:
            raise self.batch_error
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
            self.answers[key] = self._batcher.transact(put(key), time.monotonic() + 10)
        except Exception as error:  # noqa: BLE001 - the test looks at whatever it is
            self.answers[key] = error

    def join(self) -> dict[bytes, object]:
        for thread in self._threads:
            thread.join(10)
        return self.answers


def run_batch(etcd: Etcd, *keys: bytes) -> dict[bytes, object]:
    """Return all outcomes if all *keys* arrive while the first call is running."""
    batcher = CommitBatcher(etcd.transact_all, fence(), Clock(), threading.Event)
    batcher.start()
    callers = Callers(batcher)
    try:
        callers.call(b"first")
        assert etcd.entered.wait(10)
        for key in keys:
            callers.call(key)
        deadline = time.monotonic() + 10
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


@pytest.mark.parametrize("error", [LeaseExpired(), TooLarge("too large")])
def test_a_transaction_that_makes_its_batch_fail_fails_alone(error: Exception) -> None:
    etcd = Etcd()
    etcd.batch_error = error
    etcd.single_error = {b"bad": error}
    answers = run_batch(etcd, b"a", b"bad", b"c")
    assert answers[b"a"] == (True, 3)
    assert answers[b"bad"] is error
    assert isinstance(answers[b"c"], tuple)


@pytest.mark.parametrize("kind", [OutcomeUnknown, Unavailable])
def test_if_a_batch_fails_every_transaction_fails(
    kind: type[OutcomeUnknown] | type[Unavailable],
) -> None:
    etcd = Etcd()
    etcd.batch_error = kind("no answer")
    answers = run_batch(etcd, b"a", b"b")
    assert isinstance(answers[b"a"], kind)
    assert isinstance(answers[b"b"], kind)


def test_a_transaction_that_is_not_sent_before_its_deadline_is_not_written() -> None:
    etcd = Etcd()
    batcher = CommitBatcher(etcd.transact_all, fence(), Clock(), threading.Event)
    batcher.start()
    callers = Callers(batcher)
    callers.call(b"first")
    assert etcd.entered.wait(10)
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
            batcher.transact(put(b"slow"), time.monotonic() + 0.2)
        except OutcomeUnknown as error:
            answers.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert etcd.entered.wait(10)
    caller.join(10)
    etcd.release.set()
    batcher.stop()
    assert len(answers) == 1


# In the loop


class Loop:
    """Sends batches, which end when the test ends them."""

    def __init__(self) -> None:
        self.open = True
        self.deferred: list[Callable[[], object]] = []
        self.batches: list[tuple[list[Txn], BatchEnded]] = []
        self.fences: list[int] = []

    def defer(self, call: Callable[[], object]) -> None:
        self.deferred.append(call)

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence, ended: BatchEnded
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
    sent: SimpleQueue[Txn] = field(default_factory=SimpleQueue)
    raised: int = 0

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        if fence.revision < self.raised:
            raise Fenced(self.raised)
        for txn in txns:
            self.sent.put(txn)
        return [True] * len(txns), 9


class Noted(Entry):
    """An entry that is noted when it ends."""

    def __init__(self, txn: Txn, written: Written) -> None:
        super().__init__(txn, time.monotonic() + 10, lambda: written.ended.append(self))


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def batcher(loop: Loop, written: Written) -> Iterator[CommitBatcher]:
    made = CommitBatcher(written.transact_all, fence(), Clock(), threading.Event, loop)
    made.start()
    yield made
    loop.open = False
    made.stop()
    assert not made._thread.is_alive()  # type: ignore[union-attr]


def send(batcher: CommitBatcher, written: Written, *keys: bytes) -> None:
    for key in keys:
        batcher.send(Noted(put(key), written))


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
    assert {written.sent.get(timeout=10), written.sent.get(timeout=10)} == {put(b"a"), put(b"b")}
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
    late = Entry(put(b"late"), time.monotonic() + 10, lambda: None)
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


def test_if_the_fence_cannot_be_raised_those_that_wait_are_refused_at_once(
    loop: Loop, written: Written
) -> None:
    slow = SlowFence(error=Unavailable("no endpoint can be reached"))
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
    batcher.send(Entry(put(b"a"), time.monotonic() + 10, lambda: 1 / 0))
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
    stopping.join(10)
    assert not made.alive
    assert written.ended[0].revision == 7
    with pytest.raises(Unavailable):
        send(made, written, b"b")
