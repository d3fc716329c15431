"""Renewals whose result arrives while their pulse has stopped, and pulses that stop again.

Both happen when a leader of etcd was paused and continues: what it revokes arrives beside renewals that
the present leader has confirmed, and again after a pulse was restored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Put, Scope
from factstore.core.model.pulse import pulse_lease
from factstore.core.model.transaction import Transaction
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.pulses import EndPulses
from factstore.core.services import lease_monitor
from tests.contract.membership import changes_since, join
from tests.contract.stopping_pulses import (
    TTL,
    after_election,
    beats,
    forget,
    leases,
    stop_pulses,
    stops,
)
from tests.contract.world import EtcdWorld, Worker, author, soon


class SlowRenewals:
    """Lets etcd renew the lease of a pulse, and withholds its answer to a worker."""

    def __init__(self, worker: Worker, lease: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._held = pulse_lease(lease)
        self._renew = worker.backend._client.renew  # type: ignore[attr-defined]
        self.renewed = threading.Event()
        self.released = threading.Event()
        self.ended: list[Callable[[], object]] = []
        monkeypatch.setattr(worker.backend._client, "renew", self.renew)  # type: ignore[attr-defined]
        loop = worker.backend._client.loop  # type: ignore[attr-defined]
        monkeypatch.setattr(loop, "renew", self.start)

    def renew(self, lease: int, *, deadline: float) -> bool:
        done: bool = self._renew(lease, deadline=deadline)
        if lease == self._held:
            self.renewed.set()
            assert self.released.wait(60)
        return done

    def start(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        done = self._renew(lease, deadline=soon())
        self.ended.append(lambda: ended(done))
        return True


@pytest.fixture
def worker(etcd_world: EtcdWorld, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker whose rounds are run by the test, and that waits for nobody."""
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -1.0)
    monkeypatch.setattr(lease_monitor, "NEW_WORKER_SECONDS", 0)
    made = after_election(etcd_world.worker())
    made.lease_monitor.stop()
    return made


@pytest.fixture
def answers(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The revisions for which the worker has answered the other workers."""
    found: list[int] = []

    def note(at: Cursor, deadline: float) -> None:
        found.append(at.revision)

    monkeypatch.setattr(worker.backend, "answer_roll", note)
    return found


def renew_in_a_thread(worker: Worker, scope: Scope, slow: SlowRenewals) -> Callable[[], object]:
    threads = ThreadPoolExecutor(1)
    beating = threads.submit(worker.members.heartbeat, scope, "c1", None, None)
    assert slow.renewed.wait(60)

    def release() -> None:
        slow.released.set()
        beating.result(60)
        threads.shutdown()

    return release


def renew_in_the_loop(worker: Worker, scope: Scope, slow: SlowRenewals) -> Callable[[], object]:
    renewed: list[bool | None] = []
    assert worker.store.start_renewal(worker.members.get(scope, "c1").lease, renewed.append)

    def release() -> None:
        slow.ended.pop()()
        assert renewed == [True]

    return release


def test_a_heartbeat_whose_pulse_stops_meanwhile_is_not_acknowledged_in_the_loop(
    scope: Scope, etcd_world: EtcdWorld, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = join(worker, scope, ttl=TTL).member.lease
    slow = SlowRenewals(worker, lease, monkeypatch)
    acknowledged: list[bool] = []
    for _ in range(2):
        assert worker.members.start_heartbeat(scope, "c1", None, None, acknowledged.append)
    slow.ended.pop()()
    stop_pulses(etcd_world, [lease])
    worker.store.refresh(soon())
    slow.ended.pop()()
    assert acknowledged == [True, False]


def test_the_first_heartbeat_at_a_worker_compares_its_state_with_the_store(
    scope: Scope, etcd_world: EtcdWorld, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = etcd_world.worker()
    other.lease_monitor.stop()
    lease = join(other, scope, ttl=TTL).member.lease
    worker.store.refresh(soon())
    slow = SlowRenewals(worker, lease, monkeypatch)
    slow.released.set()
    acknowledged: list[bool] = []
    assert not worker.members.start_heartbeat(scope, "c1", None, None, acknowledged.append)
    worker.members.heartbeat(scope, "c1", None, None)
    assert worker.members.start_heartbeat(scope, "c1", None, None, acknowledged.append)
    slow.ended.pop()()
    assert acknowledged == [True]


@pytest.mark.parametrize("renew", [renew_in_a_thread, renew_in_the_loop])
@pytest.mark.parametrize("term", [0, 1], ids=["same-term", "after-an-election"])
def test_a_renewal_without_a_result_yet_is_waited_for(
    scope: Scope,
    etcd_world: EtcdWorld,
    worker: Worker,
    answers: list[int],
    monkeypatch: pytest.MonkeyPatch,
    renew: Callable[[Worker, Scope, SlowRenewals], Callable[[], object]],
    term: int,
) -> None:
    lease = join(worker, scope, ttl=TTL).member.lease
    start = worker.put(scope, "seed").revision
    forget(worker)
    if not term:
        created = worker.store.state().stack_state(scope).leases.term(lease)  # type: ignore[union-attr]
        worker.backend.term = lambda deadline: created  # type: ignore[method-assign]
    with monkeypatch.context() as patch:
        release = renew(worker, scope, SlowRenewals(worker, lease, patch))
        stop_pulses(etcd_world, [lease])
        worker.store.refresh(soon())
        worker.lease_monitor.run_once()
        # Others would end the lease after an answer, and so would this worker without one.
        assert answers == []
        assert worker.backend.renewals_under_way() == {lease}
        release()
    assert worker.backend.renewals_under_way() == set()
    worker.lease_monitor.run_once()
    assert beats(worker, scope, lease)
    assert changes_since(worker, scope, start) == []
    # That of a lease without a renewal ends as always.
    forget(worker)
    stop_pulses(etcd_world, [lease])
    worker.store.refresh(soon())
    worker.lease_monitor.run_once()
    assert worker.store.refresh(soon()).member(scope, "c1") is None
    assert bool(answers) == bool(term)


@pytest.mark.parametrize("fails", [False, True], ids=["refused", "failed"])
def test_a_renewal_that_did_not_succeed_is_under_way_no_longer(
    scope: Scope,
    etcd_world: EtcdWorld,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    fails: bool,
) -> None:
    lease = join(worker, scope, ttl=TTL).member.lease
    forget(worker)
    etcd_world.raw.revoke(pulse_lease(lease), deadline=soon())

    def renew(lease: int, *, deadline: float) -> bool:
        if fails:
            raise TimeoutError
        return False

    def start(lease: int, ended: Callable[[bool | None], object]) -> bool:
        return False

    client: Any = worker.backend._client  # type: ignore[attr-defined]
    monkeypatch.setattr(client, "renew", renew)
    monkeypatch.setattr(client.loop, "renew", start)
    if fails:
        with pytest.raises(TimeoutError):
            worker.store.renew_lease(lease, soon())
    else:
        assert not worker.store.renew_lease(lease, soon())
    assert not worker.store.start_renewal(lease, lambda renewed: None)
    assert worker.store.renewals_under_way() == set()
    assert worker.store.last_renewal(lease) == float("-inf")


@pytest.mark.parametrize("ends", [False, True], ids=["all", "unless-one-has-ended"])
def test_the_pulses_of_a_large_batch_are_restored(
    scope: Scope,
    etcd_world: EtcdWorld,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    ends: bool,
) -> None:
    other = etcd_world.worker()
    other.lease_monitor.stop()
    puts = [Put.of(f"many/{number:02}", number, "observed", TTL) for number in range(100)]
    start = worker.facts.batch(scope, puts, [], author()).revision
    found = [worker.facts.get(scope, put.path).fact.lease for put in puts]
    stop_pulses(etcd_world, found)
    worker.store.refresh(soon())
    commit = worker.store.commit
    tries: list[int | None] = []

    def late(transaction: Transaction, deadline: float) -> int | None:
        if ends and not tries:
            other.transactor.run(EndPulses(scope, stops(other, scope, found[:1])))
        tries.append(commit(transaction, deadline))
        return tries[-1]

    with monkeypatch.context() as patch:
        patch.setattr(worker.store, "commit", late)
        again = worker.facts.batch(scope, puts, [], author(), Idempotency("k" * 64, "f" * 64))
    outcomes = [each.outcome for each in again.results]
    assert outcomes == ["updated" if ends else "unchanged"] + ["unchanged"] * 99
    assert [beats(worker, scope, lease) for lease in found] == [not ends] + [True] * 99
    other.store.revoke_leases(found[:ends], soon())
    assert len(worker.paths(scope)) == 100
    assert len(changes_since(worker, scope, start)) == ends


def heartbeat(worker: Worker, scope: Scope) -> None:
    worker.members.heartbeat(scope, "c1", None, None)


def join_again(worker: Worker, scope: Scope) -> None:
    generation = worker.members.get(scope, "c1").generation
    assert join(worker, scope, ttl=TTL, generation=generation).outcome == "unchanged"


def put_again(worker: Worker, scope: Scope) -> None:
    assert worker.put(scope, "mortal", ttl=TTL).results[0].outcome == "unchanged"


@pytest.mark.parametrize("again", [heartbeat, join_again, put_again])
def test_a_pulse_that_stops_while_it_is_renewed_is_restored(
    scope: Scope,
    etcd_world: EtcdWorld,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    again: Callable[[Worker, Scope], None],
) -> None:
    join(worker, scope, ttl=TTL)
    start = worker.put(scope, "mortal", ttl=TTL).revision
    found = leases(worker, scope)
    renew = worker.store.renew_lease
    renewed: list[bool] = []

    def late(lease: int, deadline: float) -> bool:
        renewed.append(renew(lease, deadline))
        if len(renewed) == 1:
            stop_pulses(etcd_world, [lease])
            worker.store.refresh(soon())
        return renewed[-1]

    with monkeypatch.context() as patch:
        patch.setattr(worker.store, "renew_lease", late)
        again(worker, scope)
    assert renewed[0]
    assert all(beats(worker, scope, lease) for lease in found)
    assert changes_since(worker, scope, start) == []
