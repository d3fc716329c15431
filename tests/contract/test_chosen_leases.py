"""Leases that have been chosen to end: nothing that is acknowledged afterwards is on them.

The choice itself counts only for the stop of the pulse that it was made for.
"""

from __future__ import annotations

import math

import pytest

from factstore.core.errors import Conflict, NotFound
from factstore.core.model.fact import Put, Scope
from factstore.core.model.pulse import pulse_lease
from factstore.core.model.transaction import Transaction
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.pulses import EndPulses
from factstore.core.services import lease_monitor
from tests.contract.membership import changes_since, join, refusal
from tests.contract.stopping_pulses import (
    TTL,
    after_election,
    beats,
    stop_pulses,
    stops,
)
from tests.contract.world import EtcdWorld, Worker, author, soon


@pytest.fixture
def worker(etcd_world: EtcdWorld, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker whose rounds are run by the test, and that waits for nobody."""
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -1.0)
    monkeypatch.setattr(lease_monitor, "NEW_WORKER_SECONDS", 0)
    made = after_election(etcd_world.worker())
    made.lease_monitor.stop()
    return made


def end(worker: Worker, scope: Scope, lease: int) -> None:
    """Decide the end of a lease, as a worker does."""
    found = stops(worker, scope, [lease])
    assert worker.transactor.run(EndPulses(scope, found)).outcome == (lease,)


@pytest.mark.parametrize("before", [True, False], ids=["before-the-write", "before-a-retry"])
def test_a_decision_about_a_pulse_that_stopped_is_not_one_about_its_next_stop(
    scope: Scope,
    etcd_world: EtcdWorld,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,
) -> None:
    other = etcd_world.worker()
    other.lease_monitor.stop()
    lease = join(worker, scope, ttl=TTL).member.lease
    start = worker.put(scope, "seed").revision
    stop_pulses(etcd_world, [lease])
    found = stops(worker, scope, [lease])
    commit = worker.store.commit
    tries: list[int | None] = []

    def late(transaction: Transaction, deadline: float) -> int | None:
        """Commit after a heartbeat; the pulse stops again, and this worker does not know it yet."""
        if not tries:
            other.members.heartbeat(scope, "c1", None, None)
            if before:
                stop_pulses(etcd_world, [lease])
        tries.append(commit(transaction, deadline))
        if not before and len(tries) == 1:
            stop_pulses(etcd_world, [lease])
        return tries[-1]

    with monkeypatch.context() as patch:
        patch.setattr(worker.store, "commit", late)
        assert worker.transactor.run(EndPulses(scope, found)).outcome == ()
    assert tries == [None]
    assert changes_since(worker, scope, start) == []
    # What was decided about the second stop counts, and any number of restorations may precede it.
    other.members.heartbeat(scope, "c1", None, None)
    stop_pulses(etcd_world, [lease])
    end(worker, scope, lease)


@pytest.mark.parametrize("value", [1, 2], ids=["same-value", "other-value"])
def test_no_write_keeps_a_lease_that_has_been_chosen_to_end(
    scope: Scope, etcd_world: EtcdWorld, worker: Worker, value: int
) -> None:
    worker.put(scope, "mortal", ttl=TTL)
    lease = worker.facts.get(scope, "mortal").fact.lease
    stop_pulses(etcd_world, [lease])
    end(worker, scope, lease)
    # An attempt to restore the pulse, which came too late, has left the lease for it.
    etcd_world.raw.grant(TTL, pulse_lease(lease), deadline=soon())
    assert worker.put(scope, "mortal", value, ttl=TTL).results[0].outcome == "updated"
    worker.store.revoke_lease(lease, soon())
    worker.store.refresh(soon())
    assert worker.value(scope, "mortal") == str(value)
    assert worker.facts.get(scope, "mortal").fact.lease != lease


def test_no_join_keeps_a_member_that_has_been_chosen_to_end(
    scope: Scope, etcd_world: EtcdWorld, worker: Worker
) -> None:
    key = Idempotency("k" * 64, "f" * 64)
    former = join(worker, scope, ttl=TTL, key=key).member
    stop_pulses(etcd_world, [former.lease])
    end(worker, scope, former.lease)
    etcd_world.raw.grant(TTL, pulse_lease(former.lease), deadline=soon())
    with pytest.raises(Conflict) as refused:
        join(worker, scope, ttl=TTL, generation=former.generation)
    assert refusal(refused) == "generation_stale"
    again = join(worker, scope, ttl=TTL, key=key)
    assert again.outcome == "replaced"
    assert again.member.generation != former.generation
    worker.store.revoke_lease(former.lease, soon())
    worker.store.refresh(soon())
    assert worker.members.get(scope, "c1").generation == again.member.generation
    assert beats(worker, scope, again.member.lease)


@pytest.mark.parametrize("of", ["fact", "member"])
def test_no_write_keeps_a_lease_that_is_chosen_to_end_just_before(
    scope: Scope, etcd_world: EtcdWorld, worker: Worker, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    other = etcd_world.worker()
    other.lease_monitor.stop()
    member = join(worker, scope, ttl=TTL).member
    worker.put(scope, "mortal", ttl=TTL)
    lease = member.lease if of == "member" else worker.facts.get(scope, "mortal").fact.lease
    other.store.refresh(soon())
    commit = worker.store.commit
    tries: list[int | None] = []

    def late(transaction: Transaction, deadline: float) -> int | None:
        if not tries:
            stop_pulses(etcd_world, [lease])
            end(other, scope, lease)
            # A heartbeat was about to restore the pulse, so that this write could renew its lease.
            etcd_world.raw.grant(TTL, pulse_lease(lease), deadline=soon())
        tries.append(commit(transaction, deadline))
        return tries[-1]

    with monkeypatch.context() as patch:
        patch.setattr(worker.store, "commit", late)
        if of == "fact":
            worker.put(scope, "mortal", 2, ttl=TTL)
        else:
            with pytest.raises(Conflict) as refused:
                join(worker, scope, ttl=TTL, generation=member.generation, changed=True)
            assert refusal(refused) == "generation_stale"
    assert tries[0] is None
    other.store.revoke_leases([lease], soon())
    worker.store.refresh(soon())
    assert worker.value(scope, "mortal") == ("2" if of == "fact" else "1")


def test_a_large_batch_keeps_the_leases_of_its_facts(scope: Scope, worker: Worker) -> None:
    found: list[set[int]] = []
    for value in (1, 2):
        puts = [Put.of(f"many/{number:02}", value, "observed", TTL) for number in range(100)]
        worker.facts.batch(scope, puts, [], author())
        found.append({worker.facts.get(scope, put.path).fact.lease for put in puts})
    assert worker.value(scope, "many/99") == "2"
    assert len(found[0]) == 100
    assert found[0] == found[1]


def test_a_decision_does_not_count_after_a_write_of_the_owner(
    scope: Scope, etcd_world: EtcdWorld, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = etcd_world.worker()
    other.lease_monitor.stop()
    worker.put(scope, "mortal", ttl=TTL)
    lease = worker.facts.get(scope, "mortal").fact.lease
    stop_pulses(etcd_world, [lease])
    other.store.refresh(soon())
    found = stops(worker, scope, [lease])
    # With the lease of a pulse whose record could not be written, the write renews and keeps the lease.
    etcd_world.raw.grant(TTL, pulse_lease(lease), deadline=soon())
    assert other.put(scope, "mortal", 2, ttl=TTL).results[0].outcome == "updated"
    assert other.facts.get(scope, "mortal").fact.lease == lease
    assert worker.transactor.run(EndPulses(scope, found)).outcome == ()
    assert worker.value(scope, "mortal") == "2"


@pytest.mark.parametrize("complete", [False, True], ids=["chosen", "ended"])
@pytest.mark.parametrize("generation", [False, True])
def test_no_heartbeat_is_acknowledged_that_restores_a_pulse_too_late(
    scope: Scope,
    etcd_world: EtcdWorld,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    complete: bool,
    generation: bool,
) -> None:
    other = etcd_world.worker()
    other.lease_monitor.stop()
    member = join(worker, scope, ttl=TTL).member
    worker.put(scope, "bound", member="c1")
    lease, pulse = member.lease, pulse_lease(member.lease)
    stop_pulses(etcd_world, [lease])
    worker.store.refresh(soon())
    commit = worker.store.commit
    tries: list[int | None] = []

    def late(transaction: Transaction, deadline: float) -> int | None:
        if not tries:
            end(other, scope, lease)
            if complete:
                other.store.revoke_leases([lease], soon())
        tries.append(commit(transaction, deadline))
        if len(tries) == 1 and not complete:
            other.store.revoke_leases([lease], soon())
        return tries[-1]

    monkeypatch.setattr(worker.store, "commit", late)
    with pytest.raises((NotFound, Conflict)) as refused:
        worker.members.heartbeat(scope, "c1", member.generation if generation else None, None)
    assert refusal(refused) == ("generation_stale" if generation else "not_found")
    assert (tries[0] is None) != complete
    # Nothing can be renewed any more, by a worker that knows nothing of the end.
    assert math.isinf(etcd_world.raw.seconds_since_renewal(pulse, deadline=soon()))
    assert worker.paths(scope) == []
