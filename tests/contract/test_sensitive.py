"""Sensitive facts in a database: two workers, key rotation, and attackers who can write to etcd."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from factstore.core.errors import SealBroken
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Put, Scope, Stack
from factstore.core.model.precondition import ANY
from factstore.core.model.secret_readers import SecretReader
from factstore.core.model.value import VALUE_BYTES
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.key_rewrap import KeyRewrap, KeyRewrapResult
from factstore.store.types import PutKey, Txn
from tests.contract.world import (
    CLOCK,
    TIMEOUT,
    EtcdWorld,
    Worker,
    World,
    author,
    events_since,
    new_scope,
    soon,
)
from tests.sealing_keys import lose_keys, make_keys, rotate_keys, sealing_with

SECRET = "canary-secret"
TEXT = f'"{SECRET}"'
ALL = SecretReader(may_read_sensitive=True)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_keys(tmp_path / "keys")


@pytest.fixture
def sealer(world: World, keys: Path) -> Worker:
    return world.worker(encryption=sealing_with(keys))


def owner() -> Author:
    return replace(author(), reader=ALL)


def put(worker: Worker, scope: Scope, path: str = "password", value: object = SECRET) -> int:
    request = Put.of(path, value, sensitive=True)
    return worker.facts.put(scope, request, owner(), ANY).revision


def revealed(worker: Worker, scope: Scope, path: str = "password") -> str:
    worker.store.refresh(soon())
    return worker.facts.reveal(scope, path, ALL)[1]


def stack_of(worker: Worker, scope: Scope) -> Stack:
    found = worker.store.refresh(soon()).stack(scope)
    assert found is not None
    return found


def seal_of(worker: Worker, scope: Scope) -> DataKey:
    seal = worker.store.refresh(soon()).record(scope, DATA_KEY)
    assert isinstance(seal, DataKey)
    return seal


def reseal(worker: Worker, keys: Path) -> KeyRewrapResult:
    return KeyRewrap(worker.store, CLOCK, sealing_with(keys), TIMEOUT, worker.transactor).run()


def test_a_fact_encrypted_by_one_worker_is_decrypted_by_another(
    world: World, sealer: Worker, scope: Scope, keys: Path
) -> None:
    put(sealer, scope)
    other = world.worker(encryption=sealing_with(keys))
    assert revealed(other, scope) == TEXT
    put(other, scope)
    assert other.facts.get(scope, "password").fact.version == 1


def test_a_restarted_worker_decrypts_earlier_facts(
    world: World, sealer: Worker, scope: Scope, keys: Path
) -> None:
    for n in range(3):
        put(sealer, scope, f"secret-{n}", n)
    late = world.worker(encryption=sealing_with(keys))
    assert [revealed(late, scope, f"secret-{n}") for n in range(3)] == ["0", "1", "2"]


def test_concurrent_first_sensitive_facts_use_one_data_key(
    world: World, keys: Path, threads: ThreadPoolExecutor
) -> None:
    workers = [world.worker(encryption=sealing_with(keys)) for _ in range(2)]
    for _ in range(5):
        scope = new_scope()
        list(threads.map(lambda n: put(workers[n % 2], scope, f"s{n}", n), range(12)))  # noqa: B023
        found = [revealed(workers[0], scope, f"s{n}") for n in range(12)]
        assert found == [str(n) for n in range(12)]


def test_a_batch_of_the_largest_values_is_encrypted(sealer: Worker, scope: Scope) -> None:
    largest = "x" * (VALUE_BYTES - 2)
    requests = [Put.of(f"s{n}", largest, sensitive=True) for n in range(15)]
    sealer.facts.batch(scope, requests, [], owner())
    assert {revealed(sealer, scope, request.path) for request in requests} == {f'"{largest}"'}


def test_a_batch_of_the_maximum_size_is_encrypted(sealer: Worker, scope: Scope) -> None:
    sealer.put(scope, "open")
    requests = [Put.of(f"top{n}/s", n, sensitive=True) for n in range(100)]
    key = Idempotency("hundred", "print")
    first = sealer.facts.batch(scope, requests, [], owner(), key)
    assert [result.outcome for result in first.results] == ["created"] * 100
    assert revealed(sealer, scope, "top99/s") == "99"
    again = sealer.facts.batch(scope, requests, [], owner())
    assert [result.outcome for result in again.results] == ["unchanged"] * 100


def test_a_data_key_is_deleted_with_its_stack(world: World, sealer: Worker, scope: Scope) -> None:
    put(sealer, scope)
    first = seal_of(sealer, scope)
    sealer.stacks.delete(scope, owner())
    put(sealer, scope)
    assert seal_of(sealer, scope).wrapped != first.wrapped
    assert revealed(sealer, scope) == TEXT


# Keys that change


def test_a_key_rotation_causes_no_event_and_changes_no_etag(
    sealer: Worker, scope: Scope, keys: Path
) -> None:
    revision = put(sealer, scope)
    before, context = sealer.facts.get(scope, "password").fact, sealer.context.get(scope)
    wrapped = seal_of(sealer, scope).wrapped
    rotate_keys(keys)
    assert reseal(sealer, keys) == KeyRewrapResult(renewed=1)
    assert seal_of(sealer, scope).wrapped != wrapped
    assert [changes for _, changes in events_since(sealer, scope, revision) if changes] == []
    assert sealer.facts.get(scope, "password").fact == before
    assert sealer.context.get(scope).etag == context.etag
    assert reseal(sealer, keys) == KeyRewrapResult(current=1)


def test_after_a_rewrap_the_old_keys_are_not_needed(
    world: World, sealer: Worker, scope: Scope, keys: Path
) -> None:
    put(sealer, scope)
    for _ in range(2):
        rotate_keys(keys)
        reseal(sealer, keys)
    lose_keys(keys, 1, 2)
    assert revealed(world.worker(encryption=sealing_with(keys)), scope) == TEXT


@pytest.fixture
def reading(
    sealer: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> Iterator[list[BaseException | str]]:
    """Read the fact throughout the test; the list contains errors and wrong values."""
    put(sealer, scope)
    wrong: list[BaseException | str] = []
    over = threading.Event()
    reads = [0]

    def read() -> None:
        while not over.is_set():
            try:
                text = revealed(sealer, scope)
                if text != TEXT:
                    wrong.append(text)
            except BaseException as error:  # noqa: BLE001 - every error is a failure
                wrong.append(error)
            reads[0] += 1

    readers = [threads.submit(read) for _ in range(3)]
    yield wrong
    over.set()
    for reader in readers:
        reader.result()
    assert reads[0] > 10


def test_no_read_fails_during_key_rotation(
    reading: list[BaseException | str], sealer: Worker, keys: Path
) -> None:
    for n in range(1, 9):
        rotate_keys(keys)
        reseal(sealer, keys)
        lose_keys(keys, n)  # the previous primary key
    assert reading == []


def test_a_key_rewrap_continues_past_a_stack_with_a_lost_key(
    sealer: Worker, scope: Scope, keys: Path
) -> None:
    put(sealer, scope)
    rotate_keys(keys)
    lose_keys(keys, 1)
    healthy = new_scope()
    fresh = sealing_with(keys)
    sealer.facts._sealing = fresh  # type: ignore[attr-defined]
    sealer.facts._encryption = fresh  # type: ignore[attr-defined]
    put(sealer, healthy)
    rotate_keys(keys)
    found = reseal(sealer, keys)
    assert (found.renewed, [stack.name for stack in found.broken]) == (1, [scope.stack])
    assert revealed(sealer, healthy) == TEXT
    with pytest.raises(SealBroken):
        revealed(sealer, scope)


def test_two_concurrent_key_rewraps_both_succeed(
    world: World, sealer: Worker, keys: Path, threads: ThreadPoolExecutor
) -> None:
    scopes = [new_scope() for _ in range(8)]
    for scope in scopes:
        put(sealer, scope)
    rotate_keys(keys)
    found = [each.result() for each in [threads.submit(reseal, sealer, keys) for _ in range(2)]]
    assert sum(each.renewed for each in found) == len(scopes)
    assert {revealed(sealer, scope) for scope in scopes} == {TEXT}


# Requests with an idempotency key


def test_a_retry_on_another_worker_gets_the_first_answer(
    world: World, sealer: Worker, scope: Scope, keys: Path
) -> None:
    key, request = Idempotency("retried", "print"), Put.of("password", SECRET, sensitive=True)
    first = sealer.facts.put(scope, request, owner(), ANY, key)
    other = world.worker(encryption=sealing_with(keys))
    rotate_keys(keys)
    reseal(sealer, keys)
    again = other.facts.put(scope, request, owner(), ANY, key)
    assert (again.revision, again.results[0].outcome) == (first.revision, "created")


# Who can write into etcd


def dump(world: EtcdWorld) -> bytes:
    everything = world.keys.everything
    items = world.raw.get(everything.start, everything.end, deadline=soon()).items
    assert items
    return b"\n".join(item.key + b"=" + item.value for item in items)


def test_etcd_contains_no_plain_value(etcd_world: EtcdWorld, keys: Path, scope: Scope) -> None:
    worker = etcd_world.worker(encryption=sealing_with(keys))
    put(worker, scope)
    key, request = Idempotency("k", "p"), Put.of("b", [SECRET, {"canary-key": 1}], sensitive=True)
    worker.facts.batch(scope, [request, Put.of("open", 1)], [], owner(), key)
    put(worker, scope, value="canary-other")
    worker.facts.delete(scope, "b", owner(), ANY)
    assert b"canary" not in dump(etcd_world)
    assert b'"fingerprint"' in dump(etcd_world)


@pytest.mark.parametrize("with_the_data_key", [False, True])
@pytest.mark.parametrize("where", ["path", "stack", "project"])
def test_a_record_moved_in_etcd_is_not_decrypted(
    etcd_world: EtcdWorld, keys: Path, scope: Scope, where: str, with_the_data_key: bool
) -> None:
    worker = etcd_world.worker(encryption=sealing_with(keys))
    put(worker, scope)
    thief = Scope("th1ef" if where == "project" else scope.project_id, scope.stack + "-other")
    put(worker, thief, value="theirs")
    target = scope if where == "path" else thief
    from_, to = stack_of(worker, scope), stack_of(worker, target)
    path = "nodes/thief/loot" if where == "path" else "password"
    space = etcd_world.keys
    moves = [
        (space.fact(from_.project_id, from_.id, "password"), space.fact(to.project_id, to.id, path))
    ]
    if with_the_data_key:
        moves.append(
            (
                space.record(from_.project_id, from_.id, DATA_KEY),
                space.record(to.project_id, to.id, DATA_KEY),
            )
        )
    for source, end in moves:
        (item,) = etcd_world.raw.get(source, deadline=soon()).items
        etcd_world.raw.transact(Txn([], [PutKey(end, item.value)]), deadline=soon())
    with pytest.raises(SealBroken):
        revealed(worker, target, path)
    assert revealed(worker, scope) == TEXT, "where it belongs it opens"
