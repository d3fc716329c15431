"""Leases whose pulse stops: those that were renewed continue, and the others end in one revision.

A leader of etcd that was paused revokes leases of whose renewals it does not know.  The tests revoke
the leases of pulses as it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from factstore.core.errors import Conflict, NotFound, Unavailable
from factstore.core.lease_store import OtherWorker
from factstore.core.model.fact import Put, Scope
from factstore.core.model.pulse import Pulse, pulse_key, pulse_lease
from factstore.core.model.transaction import Transaction
from factstore.core.operations.pulses import EndPulses, RestorePulses
from factstore.core.services import lease_monitor
from factstore.core.state.stack_leases import Stop
from tests.contract.membership import changes_since, join, refusal
from tests.contract.waiting import arm, state_of
from tests.contract.world import EtcdWorld, Worker, author, publish_all, soon
from tests.eventually import eventually

TTL = 600
ELECTED = 10**6  # a term after those of all elections so far


@pytest.fixture
def elected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all leases be older than the last election, and others have no time to restore pulses."""
    monkeypatch.setattr(lease_monitor, "PERIOD", 0.02)
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(lease_monitor, "NEW_WORKER_SECONDS", 0)


def after_election(worker: Worker) -> Worker:
    worker.backend.term = lambda deadline: ELECTED  # type: ignore[method-assign]
    return worker


def forget(worker: Worker) -> None:
    """Let a worker have renewed nothing, and no lease have been created recently."""
    worker.backend.forget_renewals(())
    worker.backend.seconds_since_renewals = lambda of, deadline: [TTL] * len(of)  # type: ignore[method-assign]


def leases(worker: Worker, scope: Scope) -> list[int]:
    """Return the leases of member c1 and of the fact that expires."""
    return [worker.members.get(scope, "c1").lease, worker.facts.get(scope, "mortal").fact.lease]


def stop_pulses(world: EtcdWorld, found: list[int]) -> None:
    for lease in found:
        world.raw.revoke(pulse_lease(lease), deadline=soon())


def stops(worker: Worker, scope: Scope, found: Sequence[int]) -> dict[int, Stop]:
    """Return the stops of the pulses of leases."""
    stack_state = worker.store.refresh(soon()).stack_state(scope)
    assert stack_state is not None
    return {lease: stack_state.stop(lease) for lease in found}


def beats(worker: Worker, scope: Scope, lease: int) -> bool:
    pulse = worker.store.refresh(soon()).record(scope, pulse_key(lease))
    return isinstance(pulse, Pulse) and not pulse.ended


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
