"""Leases whose pulse has stopped: those that were not renewed end in one revision.

See :mod:`tests.contract.test_restored_pulses` for those that were renewed.
"""

from __future__ import annotations

import math
from contextlib import suppress

import pytest

from factstore.core.errors import NotFound, Unavailable
from factstore.core.model.fact import Put, Scope
from factstore.core.model.pulse import pulse_lease
from factstore.core.operations.pulses import EndPulses
from factstore.core.services import lease_monitor
from tests.contract.membership import join, refusal
from tests.contract.stopping_pulses import (
    TTL,
    after_election,
    beats,
    forget,
    leases,
    stop_pulses,
)
from tests.contract.waiting import arm
from tests.contract.world import EtcdWorld, author, publish_all, soon
from tests.eventually import eventually


@pytest.mark.usefixtures("elected")
def test_silent_leases_end_in_one_revision_with_all_that_is_on_them(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    one, two = after_election(etcd_world.worker()), after_election(etcd_world.worker())
    join(one, scope, ttl=TTL)
    one.put(scope, "bound", member="c1")
    start = one.put(scope, "mortal", ttl=TTL).revision
    # A departed member whose lease was not revoked, as if the worker had been killed.
    join(two, scope, "c2", ttl=TTL)
    two.put(scope, "left", member="c2")
    revoke = two.store.revoke_lease
    two.store.revoke_lease = lambda lease, deadline: None  # type: ignore[method-assign]
    departed = two.members.get(scope, "c2").lease
    two.members.depart(scope, "c2", "left", None, author())
    two.store.revoke_lease = revoke  # type: ignore[method-assign]
    forget(one)
    forget(two)
    stop_pulses(etcd_world, [*leases(one, scope), departed])
    eventually(lambda: one.paths(scope) == [])
    with pytest.raises(NotFound):
        two.members.get(scope, "c1")
    publish_all(two)
    events = two.hub.read(scope, two.cursor(start), events=100, size=10**6).events
    ends = [
        {(change.type, change.path) for change in event.changes if change.type.endswith(".expire")}
        for event in events
    ]
    assert {("member.expire", None), ("fact.expire", "bound")} in ends
    assert {("fact.expire", "left")} in ends
    assert {("fact.expire", "mortal")} in ends
    with pytest.raises(NotFound):
        one.members.heartbeat(scope, "c1", None, None)


@pytest.mark.usefixtures("elected")
def test_a_lease_does_not_end_while_its_pulse_is_renewed_without_a_record(
    etcd_world: EtcdWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = after_election(etcd_world.worker()), after_election(etcd_world.worker())
    for worker in (one, two):
        worker.lease_monitor.stop()
    lease = join(one, scope, ttl=TTL).member.lease
    stop_pulses(etcd_world, [lease])
    two.backend.create_pulse(lease, TTL, soon())  # whose record could not be written
    assert not beats(two, scope, lease)
    one.backend.forget_renewals(())
    # The others have had their time, and the member joined long ago.
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -TTL - 1.0)
    ages = one.backend.seconds_since_renewals
    one.backend.seconds_since_renewals = lambda of, deadline: [  # type: ignore[method-assign]
        TTL if each == lease else age for each, age in zip(of, ages(of, deadline), strict=True)
    ]
    one.lease_monitor.run_once()
    assert beats(two, scope, lease)


@pytest.mark.usefixtures("elected")
def test_no_heartbeat_succeeds_once_a_lease_is_chosen_to_end(
    etcd_world: EtcdWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = after_election(etcd_world.worker())
    lease = join(one, scope, ttl=TTL).member.lease
    refusals: list[str] = []
    run = one.transactor.run

    def note(operation: EndPulses, epoch: str = "") -> object:
        ended = run(operation, epoch)
        if isinstance(operation, EndPulses):
            with pytest.raises(NotFound) as caught:
                one.members.heartbeat(scope, "c1", None, None)
            refusals.append(refusal(caught))
        return ended

    monkeypatch.setattr(one.lease_monitor._transactor, "run", note)
    forget(one)
    stop_pulses(etcd_world, [lease])
    etcd_world.raw.grant(TTL, pulse_lease(lease), deadline=soon())  # its record was refused
    eventually(lambda: refusals)
    assert refusals == ["not_found"]
    eventually(lambda: one.store.refresh(soon()).member(scope, "c1") is None)
    assert etcd_world.raw.seconds_since_renewal(pulse_lease(lease), deadline=soon()) == math.inf


@pytest.mark.parametrize("exists", [True, False], ids=["in-a-stack", "that-creates-the-stack"])
def test_a_batch_can_have_a_ttl_for_each_of_its_facts(
    etcd_world: EtcdWorld, scope: Scope, exists: bool
) -> None:
    worker = etcd_world.worker()
    if exists:
        worker.put(scope, "seed")
    puts = [Put.of(f"many/{number:02}", number, "observed", TTL) for number in range(100)]
    worker.facts.batch(scope, puts, [], author())
    made = [worker.facts.get(scope, put.path).fact.lease for put in puts]
    assert len(set(made)) == 100
    assert all(beats(worker, scope, lease) for lease in made)
    with suppress(NotFound):
        worker.stacks.delete(scope, author())


@pytest.mark.usefixtures("elected")
def test_a_stack_whose_leases_cannot_end_does_not_keep_those_of_others(
    etcd_world: EtcdWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = after_election(etcd_world.worker())
    worker.lease_monitor.stop()
    other = Scope(scope.project_id, f"{scope.stack}-other")
    run = worker.transactor.run

    def contended(operation: EndPulses, epoch: str = "") -> object:
        if isinstance(operation, EndPulses) and operation.scope == scope:
            raise Unavailable("others are ahead", code="contention")
        return run(operation, epoch)

    monkeypatch.setattr(worker.transactor, "run", contended)
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -1.0)
    for each in (scope, other):
        worker.put(each, "mortal", ttl=TTL)
        stop_pulses(etcd_world, [worker.facts.get(each, "mortal").fact.lease])
    forget(worker)

    def ended() -> bool:
        worker.lease_monitor.run_once()
        return worker.paths(other) == []

    eventually(ended)
    assert worker.paths(scope) == ["mortal"]


@pytest.mark.usefixtures("elected")
def test_the_ends_of_one_stack_do_not_wait_for_the_many_of_another(
    etcd_world: EtcdWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_monitor, "LEASES", 2)
    worker = etcd_world.worker()
    worker.lease_monitor.stop()
    after_election(worker)
    other = Scope(scope.project_id, f"{scope.stack}-other")
    many = [f"f{number}" for number in range(8)]
    for path in many:
        worker.put(scope, path, ttl=TTL)
    worker.put(other, "only", ttl=TTL)
    forget(worker)
    found = [worker.facts.get(scope, path).fact.lease for path in many]
    stop_pulses(etcd_world, [*found, worker.facts.get(other, "only").fact.lease])
    eventually(lambda: not any(beats(worker, scope, lease) for lease in found))
    ended: list[str] = []
    run = worker.transactor.run

    def note(operation: EndPulses, epoch: str = "") -> object:
        ended.append(operation.scope.stack)
        return run(operation, epoch)

    monkeypatch.setattr(worker.transactor, "run", note)

    def all_ended() -> bool:
        worker.lease_monitor.run_once()
        return worker.paths(scope) == [] and worker.paths(other) == []

    eventually(all_ended)
    assert other.stack in ended[:2]
    assert ended.count(scope.stack) == len(many) / 2


@pytest.mark.usefixtures("elected")
@pytest.mark.parametrize("again", [True, False], ids=["armed-again", "deleted"])
def test_the_timer_of_an_extended_waiter_leaves_no_lease_behind(
    etcd_world: EtcdWorld, scope: Scope, again: bool
) -> None:
    worker = etcd_world.worker()
    absent = {"facts": "n", "present": True}
    arm(worker, scope, "w", success=absent, timeout=TTL, extend_on_progress=True)
    lease = worker.waiters.get(scope, "w").waiter.timer
    if again:
        arm(worker, scope, "w", success=absent, timeout=TTL + 1, extend_on_progress=True)
    else:
        worker.waiters.delete(scope, "w", author())
    assert not worker.store.renew_lease(lease, soon())
    state = worker.store.refresh(soon())
    owned = state.stack_state(scope).leases.owners  # type: ignore[union-attr]
    assert len(owned) == again
    assert lease not in owned
