"""Leases that end together: parts of them at once, in the right order, and not at etcd's pace."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import pytest

from factstore.core.errors import NotFound, Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.pulse import pulse_lease
from factstore.core.operations.operation import Committed
from factstore.core.operations.pulses import EndPulses, RestorePulses
from factstore.core.services import expired_pulses, lease_monitor
from factstore.core.services.expired_pulses import revoke_expired_pulses
from tests.contract.membership import join
from tests.contract.stopping_pulses import (
    TTL,
    after_election,
    beats,
    forget,
    stop_pulses,
    stops,
)
from tests.contract.world import CLOCK, TIMEOUT, EtcdWorld, Worker, soon
from tests.eventually import eventually

MANY = 9


@pytest.fixture
def worker(etcd_world: EtcdWorld, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker whose rounds are run by the test, and that waits for nobody."""
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", -1.0)
    monkeypatch.setattr(lease_monitor, "NEW_WORKER_SECONDS", 0)
    monkeypatch.setattr(lease_monitor, "LEASES", 2)
    made = etcd_world.worker()
    made.lease_monitor.stop()
    return made


def mortals(worker: Worker, scope: Scope, count: int = MANY) -> list[int]:
    """Put facts with a ttl that nobody has renewed, and return their leases."""
    for number in range(count):
        worker.put(scope, f"f{number}", ttl=TTL)
    forget(worker)
    return [worker.facts.get(scope, f"f{number}").fact.lease for number in range(count)]


class Step(NamedTuple):
    """A step towards the end of a lease, or of the lease of a pulse."""

    what: str
    lease: int


def test_the_end_of_each_lease_is_decided_then_its_pulse_is_revoked_and_then_itself(
    etcd_world: EtcdWorld, scope: Scope, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Step] = []
    run, revoke = worker.transactor.run, worker.backend.revoke_leases

    def noted_run(operation: EndPulses, epoch: str = "") -> Committed[tuple[int, ...]]:
        ended = run(operation, epoch)
        if isinstance(operation, EndPulses):
            assert len(ended.outcome) <= 2
            steps.extend(Step("decided", lease) for lease in ended.outcome)
        return ended

    def noted_revoke(of: Sequence[int], deadline: float) -> None:
        steps.extend(Step("revoking", lease) for lease in of)
        revoke(of, deadline)
        steps.extend(Step("revoked", lease) for lease in of)

    found = mortals(worker, scope)
    stop_pulses(etcd_world, found)
    worker.store.refresh(soon())
    monkeypatch.setattr(worker.transactor, "run", noted_run)
    monkeypatch.setattr(worker.backend, "revoke_leases", noted_revoke)
    worker.lease_monitor.run_once()
    eventually(lambda: worker.paths(scope) == [])
    for lease in found:
        order = [
            Step("decided", lease),
            Step("revoking", pulse_lease(lease)),
            Step("revoked", pulse_lease(lease)),
            Step("revoking", lease),
            Step("revoked", lease),
        ]
        assert [step for step in steps if step in order] == order


@pytest.mark.parametrize("calls", [0, 1], ids=["decided", "pulses-revoked"])
def test_another_worker_completes_what_one_that_died_had_decided(
    etcd_world: EtcdWorld,
    scope: Scope,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
) -> None:
    dying = etcd_world.worker()
    dying.lease_monitor.stop()
    lease = join(worker, scope, ttl=TTL).member.lease
    worker.put(scope, "bound", member="c1")
    for each in (worker, dying):
        forget(each)
    stop_pulses(etcd_world, [lease])
    dying.store.refresh(soon())
    made: list[Sequence[int]] = []
    revoke = dying.backend.revoke_leases

    def revoke_some(of: Sequence[int], deadline: float) -> None:
        if len(made) == calls:
            raise Unavailable("it has died")
        made.append(of)
        revoke(of, deadline)

    monkeypatch.setattr(dying.backend, "revoke_leases", revoke_some)
    with pytest.raises(Unavailable):
        dying.lease_monitor.run_once()
    assert len(made) == calls
    # A worker that knew no decision yet may have created the pulse's lease again.
    etcd_world.raw.grant(TTL, pulse_lease(lease), deadline=soon())
    worker.store.refresh(soon())
    with pytest.raises(NotFound):
        worker.members.heartbeat(scope, "c1", None, None)
    worker.lease_monitor.run_once()
    eventually(lambda: worker.paths(scope) == [])
    assert etcd_world.raw.seconds_since_renewal(pulse_lease(lease), deadline=soon()) == math.inf
    assert etcd_world.raw.seconds_since_renewal(lease, deadline=soon()) == math.inf


def test_what_others_have_restored_or_ended_during_a_round_is_not_looked_at_again(
    etcd_world: EtcdWorld, scope: Scope, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_monitor, "LEASES", 1)
    monkeypatch.setattr(lease_monitor, "AT_ONCE", 1)
    other = etcd_world.worker()
    other.lease_monitor.stop()
    found = mortals(worker, scope, 4)
    stop_pulses(etcd_world, found)
    asked: list[int] = []

    def ages(of: Sequence[int], deadline: float) -> list[float]:
        asked.extend(of)
        rest = [lease for lease in found if lease not in asked]
        if len(rest) == 3:
            other.store.refresh(soon())
            other.put(scope, f"f{found.index(rest[0])}", ttl=TTL)  # which restores its pulse
            other.transactor.run(EndPulses(scope, stops(other, scope, rest[1:2])))
            worker.store.refresh(soon())
        return [TTL] * len(of)

    monkeypatch.setattr(worker.backend, "seconds_since_renewals", ages)
    worker.store.refresh(soon())
    worker.lease_monitor.run_once()
    assert len(set(asked) & set(found)) == 2
    assert sum(beats(worker, scope, lease) for lease in found) == 1


def test_a_worker_does_not_answer_for_a_pulse_that_stopped_again_during_its_round(
    etcd_world: EtcdWorld, scope: Scope, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_monitor, "LEASES", 1)
    monkeypatch.setattr(lease_monitor, "AT_ONCE", 1)
    after_election(worker)
    found = mortals(worker, scope, 2)
    stop_pulses(etcd_world, found)
    answers: list[int] = []
    seen: list[int] = []

    def ages(of: Sequence[int], deadline: float) -> list[float]:
        if not seen:
            (again,) = set(found) - set(of)
            worker.transactor.run(RestorePulses(scope, [again]))
            worker.backend.forget_renewals(())
            stop_pulses(etcd_world, [again])
            worker.store.refresh(soon())
        seen.extend(lease for lease in of if lease in found)
        return [TTL] * len(of)

    monkeypatch.setattr(worker.backend, "seconds_since_renewals", ages)
    monkeypatch.setattr(worker.backend, "other_workers", lambda deadline: [])
    monkeypatch.setattr(
        worker.backend, "answer_roll", lambda revision, deadline: answers.append(revision)
    )
    worker.store.refresh(soon())
    worker.lease_monitor.run_once()
    assert (len(seen), answers) == (1, [])
    worker.store.refresh(soon())
    worker.lease_monitor.run_once()
    assert sorted(seen) == sorted(found)
    assert len(answers) == 1


def expired(worker: Worker, which: Callable[[int], bool], asked: list[list[int]]) -> None:
    """Let the pulses of some leases have expired, but not have been revoked; note who is asked."""

    def revoke(leases: Sequence[int], deadline: float) -> int:
        asked.append(list(leases))
        found = [pulse_lease(lease) for lease in leases if which(lease)]
        worker.backend.revoke_leases(found, deadline)
        return len(found)

    worker.backend.revoke_expired = revoke  # type: ignore[method-assign]


def sweep(worker: Worker, scope: Scope, term: int | None = None) -> None:
    worker.store.refresh(soon())
    current = worker.store.term(soon()) if term is None else term
    revoke_expired_pulses(worker.store, CLOCK, [scope], current, TIMEOUT)


def flat(asked: Collection[list[int]]) -> set[int]:
    return {lease for part in asked for lease in part}


def test_pulses_that_have_expired_are_ended_although_etcd_is_late(
    etcd_world: EtcdWorld, scope: Scope, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_monitor, "BURST", 2)
    asked: list[list[int]] = []
    found = mortals(worker, scope)
    expired(worker, lambda lease: lease != found[-1], asked)
    stop_pulses(etcd_world, found[:1])
    worker.store.refresh(soon())
    worker.lease_monitor.run_once()
    assert asked == [], "so few have stopped that etcd cannot be late"
    eventually(lambda: len(worker.paths(scope)) == MANY - 1)
    stop_pulses(etcd_world, found[1:3])

    def all_ended() -> bool:
        worker.store.refresh(soon())
        worker.lease_monitor.run_once()
        return worker.paths(scope) == [f"f{MANY - 1}"]

    eventually(all_ended)
    assert flat(asked) == set(found[3:])
    assert beats(worker, scope, found[-1])


def test_only_pulses_that_no_former_leader_can_have_renewed_are_asked_for(
    scope: Scope, worker: Worker
) -> None:
    asked: list[list[int]] = []
    found = mortals(worker, scope)
    expired(worker, lambda lease: False, asked)
    sweep(worker, scope, worker.store.term(soon()) + 1)
    assert asked == []
    worker.put(scope, "f0", ttl=TTL)  # renewed by this worker
    sweep(worker, scope)
    assert flat(asked) == set(found[1:])


def test_the_rest_is_left_to_etcd_if_few_have_expired_and_no_round_asks_for_too_many(
    scope: Scope, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expired_pulses, "AT_ONCE", 2)
    found = mortals(worker, scope)
    asked: list[list[int]] = []
    expired(worker, lambda lease: False, asked)
    sweep(worker, scope)
    assert [len(part) for part in asked] == [2]
    asked.clear()
    monkeypatch.setattr(expired_pulses, "ASKED", 5)
    expired(worker, lambda lease: True, asked)
    sweep(worker, scope)
    assert [len(part) for part in asked] == [2, 2, 1]
    assert len(flat(asked)) == 5
    assert sum(beats(worker, scope, lease) for lease in found) == MANY - 5
