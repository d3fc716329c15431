"""A real etcd that is killed, stopped or wiped, or whose answers are lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import (
    CursorExpired,
    FactstoreError,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.precondition import ABSENT, ANY
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import ChangeFrame, GoodbyeFrame, PingFrame
from factstore.store.client import EtcdClient, Refused
from factstore.store.client import messages as rpc
from factstore.store.types import Fence, Txn
from tests.contract.world import EtcdWorld, MemoryWorld, Worker, author, new_scope
from tests.eventually import eventually

ALL = Filter()


@pytest.fixture
def lonely(private_etcd: EtcdServer) -> Iterator[EtcdWorld]:
    """A database in an etcd for this test alone."""
    world = EtcdWorld(private_etcd.endpoint)
    yield world
    world.close()


def retried(write: Callable[[], int]) -> int:
    """Repeat a write until it succeeds, as a client does if that is safe."""

    def attempt() -> int:
        with contextlib.suppress(Unavailable, OutcomeUnknown):
            return write()
        return 0

    return eventually(attempt)


def test_while_members_differ_writes_are_refused_and_later_accepted_again(
    lonely: EtcdWorld, private_etcd: EtcdServer
) -> None:
    worker, scope = lonely.worker(), new_scope()
    worker.put(scope, "a", 1)
    channel = grpc.insecure_channel(private_etcd.endpoint.removeprefix("http://"))
    maintenance = rpc.MaintenanceStub(channel)
    member = maintenance.Status(rpc.StatusRequest()).header.member_id

    def alarm(action: int) -> None:
        maintenance.Alarm(rpc.AlarmRequest(action=action, memberID=member, alarm=2))

    alarm(1)
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            worker.put(scope, "a", 2)
        assert "corrupt" in caught.value.reason
    alarm(2)
    worker.put(scope, "a", 3)
    channel.close()


def follow(worker: Worker, scope: Scope, since: int, upto: int) -> list[int]:
    found: list[int] = []
    cursor = worker.cursor(since)
    while cursor.revision < upto:
        answer = worker.watch.poll(scope, cursor, 10, ALL)
        found += [event.revision for event in answer.events]
        cursor = answer.next
    return found


# Killed


def test_acknowledged_writes_survive_kills_and_watches_resume_without_loss(
    lonely: EtcdWorld, private_etcd: EtcdServer, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker, other = lonely.worker(), lonely.worker()
    start = worker.put(scope, "start").revision
    frames = worker.watch.stream(scope, worker.cursor(start), False, ALL, True)
    received: list[int] = []

    def listen() -> None:
        for frame in frames:
            if isinstance(frame, ChangeFrame):
                received.append(frame.events[0].revision)
            elif not isinstance(frame, PingFrame):
                assert isinstance(frame, GoodbyeFrame)
                assert frame.reason.startswith("the service is stopping"), frame

    listening = threads.submit(listen)
    acknowledged: dict[str, int] = {}
    for kill in range(2):
        for n in range(20):
            path = f"k{kill}/{n}"
            at = (worker, other)[n % 2]
            acknowledged[path] = retried(lambda at=at, path=path: at.put(scope, path).revision)
            if n == 10:
                private_etcd.kill()
                private_etcd.start()
    assert all(retried(lambda p=p: other.facts.get(scope, p).fact.revision) for p in acknowledged)
    facts = {fact.path: fact.revision for fact in other.facts.list(scope, limit=1000).items}
    del facts["start"]
    assert set(facts) == set(acknowledged)
    assert all(facts[path] <= acknowledged[path] for path in facts)
    last = max(facts.values())
    eventually(lambda: received and received[-1] >= last)
    assert received == sorted(facts.values()), "events were lost, repeated or reordered"
    assert follow(other, scope, start, last) == received
    worker.hub.close()
    listening.result(60)


def test_while_etcd_is_down_requests_fail_by_their_deadline_and_recover_by_themselves(
    private_etcd: EtcdServer, lonely: EtcdWorld, scope: Scope
) -> None:
    worker = lonely.worker(timeout=1.0)
    worker.put(scope, "p", 1)
    private_etcd.kill()
    for ask in (
        lambda: worker.facts.get(scope, "p").fact,
        lambda: worker.put(scope, "p", 1),
        lambda: worker.context.get(scope),
        lambda: worker.stacks.get(scope),
        lambda: worker.watch.poll(scope, None, 0, ALL),
    ):
        with pytest.raises(Unavailable):
            ask()
    with pytest.raises((Unavailable, OutcomeUnknown)):
        worker.put(scope, "p", 2)
    assert worker.facts.get(scope, "p", stale=True).fact.text == "1"
    private_etcd.start()
    private_etcd.wait_ready()
    assert retried(lambda: worker.put(scope, "p", 3).revision)
    assert worker.value(scope, "p") == "3"


def test_a_silent_etcd_does_not_hold_up_what_looks_for_the_compacted_revision(
    private_etcd: EtcdServer, lonely: EtcdWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factstore.store.client.client.COMPACTED_SECONDS", 0.2)
    lonely.worker()
    assert lonely.raw.compacted_revision(lonely.keys.epoch) == 0
    private_etcd.pause()
    try:
        with pytest.raises(Unavailable):
            lonely.raw.compacted_revision(lonely.keys.epoch)
    finally:
        private_etcd.resume()


def test_a_silent_etcd_never_causes_a_wrong_answer(
    private_etcd: EtcdServer, lonely: EtcdWorld, scope: Scope
) -> None:
    worker = lonely.worker(timeout=1.0)
    before = worker.put(scope, "p", 1).revision
    private_etcd.pause()
    try:
        with pytest.raises(Unavailable):
            worker.facts.get(scope, "p")
        with pytest.raises(OutcomeUnknown):
            worker.put(scope, "p", 2)
    finally:
        private_etcd.resume()
    last = retried(lambda: worker.put(scope, "q").revision)
    eventually(lambda: worker.hub.cursor.revision >= last)
    made = follow(worker, scope, before, last)
    known = worker.facts.get(scope, "p").fact
    # The write of unknown outcome may be applied before or after the next one.
    assert made == (sorted([known.revision, last]) if known.text == "2" else [last])
    assert known.version <= 2


def test_a_lease_outlives_the_restart_of_etcd(
    private_etcd: EtcdServer, lonely: EtcdWorld, scope: Scope
) -> None:
    worker = lonely.worker()
    worker.put(scope, "p", 1, ttl=5)
    private_etcd.kill()
    private_etcd.start()
    private_etcd.wait_ready()
    assert retried(lambda: worker.put(scope, "p", 1, ttl=5).revision)
    assert worker.facts.get(scope, "p").fact.version == 1


# Wiped


def test_a_wiped_etcd_is_another_epoch_for_every_reader_and_writer(
    private_etcd: EtcdServer, lonely: EtcdWorld, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker = lonely.worker()
    for n in range(10):
        last = worker.put(scope, "p", n).revision
    epoch = worker.store.state().epoch
    cursor = worker.cursor(last)
    page = worker.facts.list(scope, limit=1)
    frames = worker.watch.stream(scope, cursor, False, ALL, True)
    polling = worker.waiting(threads, worker.watch.poll, scope, cursor, 100, ALL)
    private_etcd.kill()
    private_etcd.wipe()
    private_etcd.start()
    private_etcd.wait_ready()
    with pytest.raises(CursorExpired):
        polling.result(60)
    received = [frame for frame in frames if not isinstance(frame, PingFrame)]
    assert [type(frame) for frame in received] == [GoodbyeFrame]
    assert worker.store.state().epoch != epoch
    with pytest.raises(NotFound):
        worker.facts.get(scope, "p")
    worker.put(scope, "p", "new")
    with pytest.raises(CursorExpired):
        worker.watch.poll(scope, cursor, 0, ALL)
    with pytest.raises(CursorExpired):
        worker.facts.list(scope, limit=1, at=page.cursor)
    assert worker.facts.get(scope, "p").fact.version == 1


def test_a_watch_never_continues_from_one_epoch_into_the_next(scope: Scope) -> None:
    world = MemoryWorld()
    worker = world.worker()
    last = [worker.put(scope, "p", n).revision for n in range(10)][-1]
    frames = worker.watch.stream(scope, worker.cursor(last), False, ALL, True)
    epoch = worker.store.state().epoch
    world.backend().wipe()
    eventually(lambda: worker.store.state().epoch != epoch)
    new = [worker.put(scope, "p", n).revision for n in range(20)]
    assert new[-1] > last
    assert [type(frame) for frame in frames] == [GoodbyeFrame]
    world.close()


# Answers and requests that are lost


class LossyClient(EtcdClient):
    """Loses requests or responses of the attempts that the test names."""

    faults: list[str]

    def transact_all(
        self, txns: Sequence[Txn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "request":
            raise OutcomeUnknown("the request was lost")
        done = super().transact_all(txns, deadline, fence)
        if fault == "answer":
            raise OutcomeUnknown("the answer was lost")
        return done


@pytest.fixture
def faults() -> Iterator[list[str]]:
    """Faults of the next attempts; the test must have made enough of them."""
    named: list[str] = []
    yield named
    assert named == [], "an attempt that was to be lost was not made"


@pytest.fixture
def lossy(etcd: EtcdServer, faults: list[str]) -> Iterator[EtcdWorld]:
    class Client(LossyClient):
        pass

    Client.faults = faults
    world = EtcdWorld(etcd.endpoint, Client, is_shared=True)
    yield world
    world.close()


@pytest.mark.parametrize(
    "lost",
    [["answer"], ["request"], ["request", "request"], ["request", "answer"]],
)
def test_a_write_with_an_unknown_outcome_is_made_exactly_once(
    lossy: EtcdWorld, scope: Scope, faults: list[str], lost: list[str]
) -> None:
    worker = lossy.worker()
    start = worker.put(scope, "p", 0).revision
    for n in range(1, 4):
        faults[:] = lost
        written = worker.put(scope, "p", n, ttl=3600 if n == 2 else None)
        assert faults == []
        fact = worker.facts.get(scope, "p").fact
        assert (fact.text, fact.version, fact.revision) == (str(n), n + 1, written.revision)
    assert len(follow(worker, scope, start, written.revision)) == 3


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_a_conditional_write_with_an_unknown_outcome_is_not_refused_because_of_itself(
    lossy: EtcdWorld, scope: Scope, faults: list[str], lost: str
) -> None:
    worker = lossy.worker()
    worker.put(scope, "start")
    faults[:] = [lost]
    assert worker.put(scope, "p", 1, ABSENT).results[0].outcome == "created"
    assert worker.facts.get(scope, "p").fact.version == 1


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_a_batch_and_a_first_write_with_an_unknown_outcome_are_made_exactly_once(
    lossy: EtcdWorld, faults: list[str], lost: str
) -> None:
    worker = lossy.worker()
    scope = new_scope()
    faults[:] = [lost]
    first = worker.put(scope, "old")
    faults[:] = [lost]
    wishes = [Put.of("a", 1), Put.of("b/c", 2), Delete("old")]
    written = worker.facts.batch(scope, wishes, [], author())
    assert worker.paths(scope) == ["a", "b/c"]
    assert follow(worker, scope, first.revision, written.revision) == [written.revision]


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_with_an_idempotency_key_a_client_resolves_an_unknown_outcome(
    lossy: EtcdWorld, scope: Scope, faults: list[str], lost: str
) -> None:
    worker = lossy.worker()
    start = worker.put(scope, "p").revision
    key = Idempotency(f"key-{scope.stack}", "print")

    def delete() -> int:
        written = worker.facts.delete(scope, "p", author(), ANY, key)
        assert written.results[0].outcome == "deleted"
        return written.revision

    faults[:] = [lost]
    revision = retried(delete)
    assert retried(delete) == revision
    assert follow(worker, scope, start, revision) == [revision]


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_stacks_are_created_and_deleted_exactly_once_despite_lost_messages(
    lossy: EtcdWorld, scope: Scope, faults: list[str], lost: str
) -> None:
    worker = lossy.worker()
    faults[:] = [lost]
    made = worker.stacks.put(scope, "text", author())[0].stack
    assert worker.stacks.get(scope).stack == made
    faults[:] = [lost]
    worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


def test_a_write_interrupted_by_a_kill_is_stored_once_or_not_at_all(
    private_etcd: EtcdServer, lonely: EtcdWorld, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker = lonely.worker(timeout=3.0)
    start = worker.put(scope, "p", 0).revision

    def write(n: int) -> int | str:
        try:
            return worker.put(scope, f"w{n}", n).revision
        except FactstoreError as error:
            return error.code

    writing = [threads.submit(write, n) for n in range(40)]
    eventually(lambda: any(done.done() for done in writing))
    private_etcd.kill()
    private_etcd.start()
    private_etcd.wait_ready()
    results = [done.result(60) for done in writing]
    last = retried(lambda: worker.put(scope, "last").revision)
    there = {f.path: f for f in worker.facts.list(scope, limit=1000).items}
    for n, received in enumerate(results):
        fact = there.get(f"w{n}")
        if isinstance(received, int):
            assert fact is not None, "an acknowledged write was lost"
            assert fact.revision == received
        else:
            assert received in ("outcome_unknown", "store_unavailable", "contention")
            assert fact is None or received == "outcome_unknown", (
                "the error states that nothing was written"
            )
        assert fact is None or fact.version == 1
    revisions = {f.revision for f in there.values()} - {start}
    assert follow(worker, scope, start, last) == sorted(revisions)
