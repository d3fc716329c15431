"""Quotas limit a project; concurrent writers exceed them by at most the writes in flight."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.precondition import ANY
from factstore.core.model.quota import Quota
from factstore.core.operations.idempotency import Idempotency
from tests.contract.world import PROJECT, Worker, World, author, soon

THREADS = 8


def outcome(worker: Worker, scope: Scope, path: str, value: object = 1) -> str:
    try:
        return worker.put(scope, path, value).results[0].outcome
    except FactstoreError as error:
        return error.code


def test_concurrent_writers_exceed_a_quota_by_no_more_than_the_writes_in_flight(
    world: World, scope: Scope
) -> None:
    workers = [world.worker(quota=Quota(facts=10)) for _ in range(2)]
    together = Barrier(THREADS)

    def write(thread: int) -> Counter[str]:
        together.wait(60)
        worker = workers[thread % 2]
        return Counter(outcome(worker, scope, f"t{thread}/{n}") for n in range(5))

    with ThreadPoolExecutor(THREADS) as threads:
        outcomes = sum(threads.map(write, range(THREADS)), Counter[str]())
    assert set(outcomes) == {"created", "quota_exceeded"}
    assert 10 <= outcomes["created"] <= 10 + THREADS
    for worker in workers:
        assert worker.store.refresh(soon()).project_usage(PROJECT).facts == outcomes["created"]
        assert outcome(worker, scope, "one/more") == "quota_exceeded"


def test_stacks_are_limited_however_they_are_created(world: World) -> None:
    worker = world.worker(quota=Quota(stacks=2))
    worker.stacks.put(Scope(PROJECT, "stack-1"), "", author())
    assert outcome(worker, Scope(PROJECT, "stack-2"), "a") == "created"
    assert outcome(worker, Scope(PROJECT, "stack-3"), "a") == "quota_exceeded"
    with pytest.raises(FactstoreError, match="3 stacks in the project"):
        worker.stacks.put(Scope(PROJECT, "stack-3"), "", author())
    assert worker.stacks.usage(PROJECT).stacks == 2


def test_only_the_bytes_of_present_facts_count(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(bytes_per_stack=20))
    # 13 bytes with the path and the quotes.
    assert outcome(worker, scope, "a", "0123456789") == "created"
    assert outcome(worker, scope, "b", "01234") == "quota_exceeded"
    assert outcome(worker, scope, "b", "0123") == "created"
    assert outcome(worker, scope, "a", "012345678901234") == "quota_exceeded"
    assert outcome(worker, scope, "a", "0") == "updated"
    assert outcome(worker, scope, "b", "012345") == "updated"
    worker.delete(scope, "a")
    assert outcome(worker, scope, "c", "0123456") == "created"
    worker.stacks.delete(scope, author())
    assert outcome(worker, scope, "a", "0123456789") == "created"


def test_the_quota_is_checked_for_a_batch_as_a_whole(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts=2))
    worker.put(scope, "a")
    worker.put(scope, "b")
    requests = [Delete("a"), Put.of("c", 1)]
    assert worker.facts.batch(scope, requests, (), author()).results[1].outcome == "created"
    with pytest.raises(FactstoreError, match="3 facts"):
        worker.facts.batch(scope, [Put.of("b", 2), Put.of("d", 1)], (), author())
    assert worker.value(scope, "b") == "1"


def test_a_flood_of_keys_ends_at_the_quota_and_removals_go_on(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(bytes_per_stack=1000))

    def put(n: int) -> str:
        try:
            key = Idempotency(f"{n:064}", "f" * 64)
            return worker.put(scope, "p", n, idempotency=key).results[0].outcome
        except FactstoreError as error:
            return error.code

    outcomes = [put(n) for n in range(10)]
    assert outcomes[0] == "created"
    assert outcomes[-2:] == ["quota_exceeded"] * 2
    assert put(0) == "created", "the outcome of a key that was used before"
    usage = worker.stacks.usage(PROJECT)
    assert usage.facts == 1
    assert usage.bytes <= 1000
    # A fact is smaller than the receipt of its deletion.
    gone = worker.facts.delete(scope, "p", author(), ANY, Idempotency("d" * 64, "f" * 64))
    assert gone.results[0].outcome == "deleted"


def test_expired_and_deleted_facts_no_longer_count(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts=1))
    written = worker.put(scope, "a", ttl=30)
    assert outcome(worker, scope, "b") == "quota_exceeded"
    fact = written.results[0].fact
    assert fact
    lease = worker.store.refresh(soon()).fact(scope, "a")
    assert lease
    worker.store.revoke_lease(lease.lease, soon())
    assert outcome(worker, scope, "b") == "created"
