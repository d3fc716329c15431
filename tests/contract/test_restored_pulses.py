"""Pulses that stop and are restored, by a round, a request or a heartbeat, before their leases end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from factstore.core.errors import Conflict
from factstore.core.lease_store import OtherWorker
from factstore.core.model.fact import Scope
from factstore.core.model.pulse import pulse_lease
from factstore.core.model.transaction import Transaction
from factstore.core.operations.pulses import EndPulses, RestorePulses
from factstore.core.services import lease_monitor
from tests.contract.membership import changes_since, join, refusal
from tests.contract.stopping_pulses import (
    TTL,
    after_election,
    beats,
    forget,
    leases,
    stop_pulses,
    stops,
)
from tests.contract.waiting import arm, state_of
from tests.contract.world import EtcdWorld, author, soon
from tests.eventually import eventually


@pytest.mark.usefixtures("elected")
def test_pulses_that_were_renewed_are_restored_and_nobody_sees_anything(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    one, two = after_election(etcd_world.worker()), after_election(etcd_world.worker())
    join(one, scope, ttl=TTL)
    one.put(scope, "bound", member="c1")
    start = one.put(scope, "mortal", ttl=TTL).revision
    one.members.heartbeat(scope, "c1", None, None)
    forget(two)
    two.lease_monitor.stop()  # so that it is late, but not silent for too long
    found = leases(one, scope)
    stop_pulses(etcd_world, found)
    eventually(lambda: all(beats(one, scope, lease) for lease in found))
    two.members.heartbeat(scope, "c1", None, None)
    assert one.paths(scope) == ["bound", "mortal"]
    assert changes_since(one, scope, start) == []
    assert found == leases(two, scope)


def test_a_request_restores_a_pulse_before_the_lease_ends_but_not_afterwards(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    one, two = after_election(etcd_world.worker()), after_election(etcd_world.worker())
    for worker in (one, two):
        worker.lease_monitor.stop()
    member = join(one, scope, ttl=TTL).member
    start = one.put(scope, "mortal", ttl=TTL).revision
    etag = one.facts.get(scope, "mortal").fact.revision
    fact_lease = leases(one, scope)[1]
    again: list[Callable[[], object]] = [
        lambda: two.members.heartbeat(scope, "c1", member.generation, None),
        lambda: join(two, scope, ttl=TTL, generation=member.generation),
    ]
    for request in again:
        stop_pulses(etcd_world, [member.lease])
        request()
        assert beats(one, scope, member.lease)
    stop_pulses(etcd_world, [fact_lease])
    equal = two.put(scope, "mortal", ttl=TTL)
    assert [each.outcome for each in equal.results] == ["unchanged"]
    assert beats(one, scope, fact_lease)
    assert (one.facts.get(scope, "mortal").fact.revision, leases(one, scope)[1]) == (
        etag,
        fact_lease,
    )
    assert changes_since(one, scope, start) == []

    # Once one worker has decided that it ends, no other restores it.
    stop_pulses(etcd_world, [member.lease, fact_lease])
    two.store.refresh(soon())
    for expected in ([member.lease, fact_lease], []):
        found = stops(two, scope, [member.lease, fact_lease])
        ended = two.transactor.run(EndPulses(scope, found)).outcome
        assert sorted(ended) == sorted(expected)
    # Another worker may have created the lease of a pulse, whose record was then refused.
    etcd_world.raw.grant(TTL, pulse_lease(member.lease), deadline=soon())
    with pytest.raises(Conflict) as refused:
        one.members.heartbeat(scope, "c1", member.generation, None)
    assert refusal(refused) == "generation_stale"
    assert [each.outcome for each in one.put(scope, "mortal", ttl=TTL).results] == ["updated"]
    for lease in (member.lease, fact_lease):
        one.store.revoke_lease(lease, soon())
    assert one.store.refresh(soon()).contents(scope).members == ()  # type: ignore[union-attr]
    assert one.paths(scope) == ["mortal"]


def test_writes_of_the_owner_do_not_delay_the_restoring_of_its_pulse(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    one, two = etcd_world.worker(), etcd_world.worker()
    for worker in (one, two):
        worker.lease_monitor.stop()
    member = join(one, scope, ttl=TTL).member
    stop_pulses(etcd_world, [member.lease])
    two.store.refresh(soon())
    commit = two.store.commit
    revisions: list[int | None] = []

    def late(transaction: Transaction, deadline: float) -> int | None:
        one.members.set_state(scope, "c1", "ready", None, author())
        revisions.append(commit(transaction, deadline))
        return revisions[-1]

    two.store.commit = late  # type: ignore[method-assign]
    two.transactor.run(RestorePulses(scope, [member.lease]))
    assert len(revisions) == 1
    assert beats(one, scope, member.lease)
    assert one.members.get(scope, "c1").state == "ready"


def test_no_heartbeat_is_acknowledged_before_a_pulse_that_stopped_is_restored(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    one, two = etcd_world.worker(), etcd_world.worker()
    for worker in (one, two):
        worker.lease_monitor.stop()
    member = join(one, scope, ttl=TTL).member
    stop_pulses(etcd_world, [member.lease])
    two.store.refresh(soon())
    # A member of etcd may renew a lease that has been revoked, with success.
    two.backend.renew_lease = lambda lease, deadline: True  # type: ignore[method-assign]
    ended: list[bool] = []
    assert not two.members.start_heartbeat(scope, "c1", None, None, ended.append)
    assert ended == []
    two.members.heartbeat(scope, "c1", None, None)
    assert beats(one, scope, member.lease)


@pytest.mark.usefixtures("elected")
@pytest.mark.parametrize("by", [0, 1], ids=["of-the-same-worker", "of-another-worker"])
def test_a_heartbeat_that_restores_a_pulse_just_before_its_lease_ends_is_kept(
    etcd_world: EtcdWorld, scope: Scope, by: int
) -> None:
    workers = [etcd_world.worker() for _ in range(2)]
    for worker in workers:
        worker.lease_monitor.stop()
    one = workers[0]
    start, lease = one.put(scope, "seed").revision, join(one, scope, ttl=TTL).member.lease
    stop_pulses(etcd_world, [lease])
    forget(one)
    ages = one.backend.seconds_since_renewals

    def ages_before_a_heartbeat(of: Sequence[int], deadline: float) -> list[float]:
        found = ages(of, deadline)
        if of and not beats(one, scope, lease):
            workers[by].members.heartbeat(scope, "c1", None, None)
        return found

    one.backend.seconds_since_renewals = ages_before_a_heartbeat  # type: ignore[method-assign]

    def restored() -> bool:
        one.lease_monitor.run_once()
        return beats(one, scope, lease)

    eventually(restored)
    one.lease_monitor.run_once()
    assert beats(one, scope, lease)
    assert one.members.get(scope, "c1").lease == lease
    changes = [change for event in changes_since(one, scope, start) for change in event]
    assert [change.type for change in changes] == ["member.join"]


@pytest.mark.usefixtures("elected")
def test_others_that_do_not_answer_have_more_time_to_restore_more_pulses(
    etcd_world: EtcdWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_monitor, "RESTORED_PER_SECOND", 0.001)
    worker = after_election(etcd_world.worker())
    answered = -1
    worker.backend.other_workers = lambda deadline: [OtherWorker(answered, 0.0)]  # type: ignore[method-assign]
    worker.lease_monitor.stop()

    def let_expire() -> None:
        join(worker, scope, ttl=TTL)
        worker.put(scope, "mortal", ttl=TTL)
        forget(worker)
        stop_pulses(etcd_world, leases(worker, scope))
        worker.store.refresh(soon())

    let_expire()
    for later in (1.0, 1900.0):
        monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -later)
        worker.lease_monitor.run_once()
        assert worker.paths(scope) == ["mortal"]
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -2001.0)  # two leases need 2000 seconds
    worker.lease_monitor.run_once()
    eventually(lambda: worker.paths(scope) == [])

    # Once all have answered, nobody restores any more, however many have stopped.
    let_expire()
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -1.0)
    answered = worker.store.state().revision
    worker.lease_monitor.run_once()
    eventually(lambda: worker.paths(scope) == [])


@pytest.mark.usefixtures("elected")
def test_a_waiter_whose_timeout_was_restarted_outlives_a_former_leader(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    one, two = after_election(etcd_world.worker()), after_election(etcd_world.worker())
    three = {"facts": "n/*", "present": True, "count": 3}
    arm(one, scope, "w", success=three, timeout=TTL, extend_on_progress=True)
    lease = one.waiters.get(scope, "w").waiter.timer
    began = one.store.last_renewal(lease)
    one.put(scope, "n/1")
    for worker in (one, two):
        eventually(lambda w=worker: w.store.last_renewal(lease) > began)
    stop_pulses(etcd_world, [lease])
    eventually(lambda: beats(one, scope, lease))
    assert state_of(two, scope, "w") == "pending"

    def ends_without_progress() -> bool:
        # The other worker may be restoring the pulse still, which counts as a renewal.
        forget(one)
        forget(two)
        stop_pulses(etcd_world, [lease])
        return state_of(two, scope, "w") == "timed_out"

    eventually(ends_without_progress)
    eventually(lambda: not one.store.renew_lease(lease, soon()))
