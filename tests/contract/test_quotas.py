"""Quotas hold however many writers race for what is left, in one process and in several."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.quota import Quota
from tests.contract.world import PROJECT, EtcdWorld, Worker, World, author, soon

THREADS = 200


@pytest.fixture
def many() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)


def outcome(worker: Worker, scope: Scope, path: str, value: object = 1) -> str:
    try:
        return worker.put(scope, path, value).results[0].outcome
    except FactstoreError as error:
        return error.code


@pytest.mark.parametrize("left", [1, 7])
def test_the_last_places_are_given_away_once(
    world: World, scope: Scope, many: ThreadPoolExecutor, left: int
) -> None:
    workers = [world.worker(quota=Quota(facts=10)) for _ in range(2)]
    for n in range(10 - left):
        assert outcome(workers[n % 2], scope, f"held/{n}") == "created"
    together = Barrier(THREADS)

    def write(n: int) -> str:
        together.wait(30)
        return outcome(workers[n % 2], scope, f"raced/{n}")

    told = Counter(many.map(write, range(THREADS)))
    assert told == {"created": left, "quota_exceeded": THREADS - left}
    for worker in workers:
        assert worker.store.refresh(soon()).project_usage(PROJECT).facts == 10
        assert len(worker.paths(scope)) == 10


def test_the_last_stack_of_a_quota_is_created_once(world: World, many: ThreadPoolExecutor) -> None:
    workers = [world.worker(quota=Quota(stacks=3)) for _ in range(2)]
    together = Barrier(40)

    def create(n: int) -> str:
        together.wait(30)
        worker, scope = workers[n % 2], Scope(PROJECT, f"stack-{n}")
        try:
            if n % 4 < 2:
                worker.stacks.put(scope, "", author())
            else:
                worker.put(scope, "a")
        except FactstoreError as error:
            return error.code
        return "created"

    told = Counter(many.map(create, range(40)))
    assert told == {"created": 3, "quota_exceeded": 37}
    assert workers[0].stacks.usage(PROJECT).stacks == 3


def test_bytes_are_counted_of_the_present_facts(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(bytes_per_stack=20))
    assert outcome(worker, scope, "a", "0123456789") == "created"  # 13 with path and quotes
    assert outcome(worker, scope, "b", "01234") == "quota_exceeded"
    assert outcome(worker, scope, "b", "0123") == "created"
    assert outcome(worker, scope, "a", "012345678901234") == "quota_exceeded"
    assert outcome(worker, scope, "a", "0") == "updated"
    assert outcome(worker, scope, "b", "012345") == "updated"
    worker.delete(scope, "a")
    assert outcome(worker, scope, "c", "0123456") == "created"
    worker.stacks.delete(scope, author())
    assert outcome(worker, scope, "a", "0123456789") == "created"


def test_a_batch_is_judged_whole(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts=2))
    worker.put(scope, "a")
    worker.put(scope, "b")
    wishes = [Delete("a"), Put.of("c", 1)]
    assert worker.facts.batch(scope, wishes, (), author()).results[1].outcome == "created"
    with pytest.raises(FactstoreError, match="3 facts"):
        worker.facts.batch(scope, [Put.of("b", 2), Put.of("d", 1)], (), author())
    assert worker.value(scope, "b") == "1"


def test_expired_and_deleted_facts_make_room(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts=1))
    written = worker.put(scope, "a", ttl=30)
    assert outcome(worker, scope, "b") == "quota_exceeded"
    fact = written.results[0].fact
    assert fact
    lease = worker.store.refresh(soon()).fact(scope, "a")
    assert lease
    worker.store.revoke_lease(lease.lease, soon())
    assert outcome(worker, scope, "b") == "created"


def test_a_worker_that_starts_later_knows_the_gate(etcd_world: EtcdWorld, scope: Scope) -> None:
    first = etcd_world.worker(quota=Quota(facts=3))
    assert outcome(first, scope, "a") == "created"
    second = etcd_world.worker(quota=Quota(facts=3))
    assert outcome(second, scope, "b") == "created"
    gate = second.store.state().project_usage(PROJECT).gate
    assert gate
    assert outcome(first, scope, "c") == "created"
    assert first.store.state().project_usage(PROJECT).gate > gate
    assert outcome(second, scope, "d") == "quota_exceeded"
