"""Leases whose renewals only a lost worker knew, when a former leader of etcd revokes their pulses."""

from __future__ import annotations

import pytest

from factstore.core.errors import CursorExpired
from factstore.core.lease_store import OtherWorker
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.pulse import Pulse, pulse_key
from factstore.core.services import lease_monitor
from factstore.core.services.lease_monitor import GRACE_SECONDS, SILENCE_MARGIN, LeaseMonitor
from factstore.store.roll import Roll
from factstore.store.types import PutKey, Txn
from factstore.wsgi.clock import SystemClock
from tests.contract.membership import join
from tests.contract.stopping_pulses import (
    TTL,
    after_election,
    beats,
    forget,
    leases,
    stop_pulses,
)
from tests.contract.world import EtcdWorld, Worker, open_store, soon
from tests.eventually import eventually


class LaterClock(SystemClock):
    """A clock that is ahead by some seconds."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Judge:
    """A worker whose rounds are run by the test, at any time, and that has renewed nothing."""

    def __init__(self, worker: Worker) -> None:
        worker.lease_monitor.stop()
        forget(worker)
        self.worker = worker
        self.clock = LaterClock()
        self.monitor = LeaseMonitor(
            worker.store, self.clock, 10.0, worker.transactor, worker._signal
        )

    def round(self, after: float = 0.0) -> None:
        """Run a round so many seconds after the first one."""
        self.clock.ahead = after
        self.worker.store.refresh(soon())
        self.monitor.run_once()


@pytest.fixture
def judge(etcd_world: EtcdWorld, monkeypatch: pytest.MonkeyPatch) -> Judge:
    monkeypatch.setattr(lease_monitor, "NEW_WORKER_SECONDS", 0)
    return Judge(after_election(etcd_world.worker()))


def renewed(worker: Worker, scope: Scope) -> list[int]:
    """Renew what a test looks at, and return the leases."""
    after_election(worker)
    join(worker, scope, ttl=TTL)
    worker.put(scope, "mortal", ttl=TTL)
    worker.members.heartbeat(scope, "c1", None, None)
    return leases(worker, scope)


LATER = GRACE_SECONDS + 1


def test_what_a_lost_worker_has_renewed_does_not_end_early(
    etcd_world: EtcdWorld, scope: Scope, judge: Judge
) -> None:
    lost = etcd_world.worker()
    found = renewed(lost, scope)
    lost.lease_monitor.stop()
    stop_pulses(etcd_world, found)
    for seconds in (0.0, LATER, TTL - 1.0):
        judge.round(seconds)
        assert judge.worker.paths(scope) == ["mortal"]
        assert judge.worker.members.get(scope, "c1")
    # A heartbeat restores the pulse, and when that stops, its time begins again.
    judge.worker.members.heartbeat(scope, "c1", None, None)
    assert beats(judge.worker, scope, found[0])
    forget(judge.worker)
    stop_pulses(etcd_world, found[:1])
    judge.round(TTL + LATER)
    eventually(lambda: judge.worker.paths(scope) == [])
    assert judge.worker.members.get(scope, "c1")
    judge.round(2 * TTL + 2 * LATER)
    eventually(lambda: judge.worker.members.list(scope, limit=9).items == ())


def test_a_lease_ends_at_once_after_all_others_have_answered(
    etcd_world: EtcdWorld, scope: Scope, judge: Judge
) -> None:
    other = etcd_world.worker()
    found = renewed(other, scope)
    other.lease_monitor.stop()
    forget(other)
    stop_pulses(etcd_world, found)
    judge.round()
    judge.round(LATER)
    assert judge.worker.paths(scope) == ["mortal"]
    other.store.refresh(soon())
    other.lease_monitor.run_once()
    judge.round(LATER)
    eventually(lambda: judge.worker.paths(scope) == [])


def test_a_worker_that_was_lost_long_ago_keeps_no_lease(
    etcd_world: EtcdWorld, scope: Scope, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = etcd_world.worker()
    found = renewed(lost, scope)
    lost.lease_monitor.stop()
    silent = TTL + SILENCE_MARGIN - 1
    monkeypatch.setattr(
        judge.worker.backend, "other_workers", lambda deadline: [OtherWorker(0, silent)]
    )
    stop_pulses(etcd_world, found)
    judge.round()
    judge.round(LATER)
    assert judge.worker.paths(scope) == ["mortal"]
    silent += 1
    judge.round(LATER)
    eventually(lambda: judge.worker.paths(scope) == [])


def test_the_term_of_a_pulse_is_known_only_if_no_former_leader_can_revoke_it(
    etcd_world: EtcdWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = etcd_world.worker()
    worker.lease_monitor.stop()

    def term(path: str) -> int:
        lease = worker.facts.get(scope, path).fact.lease
        pulse = worker.store.refresh(soon()).record(scope, pulse_key(lease))
        assert isinstance(pulse, Pulse)
        return pulse.term

    current = worker.store.term(soon())
    worker.put(scope, "seed")
    worker.put(scope, "a", ttl=TTL)
    assert term("a") == current
    # A pulse that was restored has the id of a lease that a former leader may know.
    stop_pulses(etcd_world, [worker.facts.get(scope, "a").fact.lease])
    worker.store.refresh(soon())
    worker.put(scope, "a", ttl=TTL)
    assert term("a") == 0
    # The answer may be of a later term than the creation.
    grant = worker.backend._client.grant_in_term  # type: ignore[attr-defined]
    monkeypatch.setattr(
        worker.backend._client,  # type: ignore[attr-defined]
        "grant_in_term",
        lambda *args, **options: grant(*args, **options) + 1,
    )
    worker.put(scope, "b", ttl=TTL)
    assert term("b") == 0
    worker.put(scope, "c", ttl=TTL)
    assert term("c") == current + 1


def test_the_roll_knows_every_worker_and_its_last_answer(etcd_world: EtcdWorld) -> None:
    heads = [etcd_world.opened_backend()._head for _ in range(2)]
    one, two = (Roll(etcd_world.raw, etcd_world.keys, head) for head in heads)
    assert one.others(soon()) == []
    for roll in (one, two):
        roll.sign(soon())
    one.answer(Cursor(heads[0].epoch, 7), soon())
    assert [each.answered for each in two.others(soon())] == [7]
    assert [each.answered for each in one.others(soon())] == [0]
    assert all(each.silent_seconds <= SILENCE_MARGIN for each in one.others(soon()))
    # Without its lease, it signs again with its last answer.
    etcd_world.raw.revoke(one._lease, deadline=soon())
    assert two.others(soon()) == []
    one.answer(Cursor(heads[0].epoch, 8), soon())
    one.sign(soon())
    assert [each.answered for each in two.others(soon())] == [8]


def test_an_answer_is_not_given_in_a_store_that_was_restored(etcd_world: EtcdWorld) -> None:
    backend = etcd_world.opened_backend()
    former = backend._head.epoch
    one, two = (Roll(etcd_world.raw, etcd_world.keys, backend._head) for _ in range(2))
    one.sign(soon())
    one.answer(Cursor(former, 7), soon())
    etcd_world.raw.transact(Txn([], [PutKey(etcd_world.keys.epoch, b"ab" * 16)]), deadline=soon())
    one.answer(Cursor(former, 9), soon())  # nobody has noticed it yet
    assert [each.answered for each in two.others(soon())] == [7]
    etcd_world.raw.revoke(one._lease, deadline=soon())
    open_store(backend)
    one.sign(soon())
    assert [each.answered for each in two.others(soon())] == [0]
    with pytest.raises(CursorExpired):
        one.answer(Cursor(former, 9), soon())
