"""Renewals whose result arrives while their pulse has stopped, and pulses that stop again.

Both happen when a leader of etcd was paused and continues: what it revokes arrives beside renewals that
the present leader has confirmed, and again after a pulse was restored.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from factstore.core.errors import Conflict, NotFound
from factstore.core.model.cursor import Cursor
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


def end(worker: Worker, scope: Scope, lease: int) -> None:
    """Decide the end of a lease, as a worker does."""
    found = stops(worker, scope, [lease])
    assert worker.transactor.run(EndPulses(scope, found)).outcome == (lease,)


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
    acknowledged: list[bool] = []
    assert worker.members.start_heartbeat(scope, "c1", None, None, acknowledged.append)

    def release() -> None:
        slow.ended.pop()()
        assert acknowledged == [False]  # it restores the pulse before it is acknowledged

    return release


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


def test_a_large_batch_has_room_for_the_guards_on_the_leases_that_it_keeps(
    scope: Scope, worker: Worker
) -> None:
    for value in (1, 2):
        puts = [Put.of(f"many/{number:02}", value, "observed", TTL) for number in range(100)]
        worker.facts.batch(scope, puts, [], author())
    assert worker.value(scope, "many/99") == "2"


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
