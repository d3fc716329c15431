"""Foreign keys below our root do not stop maintenance."""

from __future__ import annotations

import pytest

from factstore.store.etcd import EtcdBackend
from factstore.store.types import PutKey, Txn
from tests.contract.world import (
    EtcdWorld,
    author,
    make_stack,
    new_fact,
    new_scope,
    put_all,
    soon,
)


@pytest.fixture
def backend(etcd_world: EtcdWorld) -> EtcdBackend:
    return etcd_world.opened_backend()


def plant(world: EtcdWorld, below_root: bytes, value: bytes = b"") -> None:
    key = world.keys.root.encode() + b"/" + below_root
    world.raw.transact(Txn([], [PutKey(key, value)]), deadline=soon())


@pytest.mark.parametrize("stray", [b"purges/-", b"purges/-/s/x", b"purges/-/a.b", b"purges/-/\xff"])
def test_a_stray_key_among_the_purges_does_not_stop_a_purge(
    etcd_world: EtcdWorld, backend: EtcdBackend, stray: bytes
) -> None:
    worker = etcd_world.worker()
    scope = new_scope()
    worker.put(scope, "p")
    stack = worker.stacks.get(scope).stack
    plant(etcd_world, stray)
    worker.stacks.delete(scope, author())
    assert etcd_world.leftovers(stack) == 2
    backend.purge_deleted(soon())
    assert etcd_world.leftovers(stack) == 0


def test_an_invalid_compaction_record_does_not_stop_the_turns(
    etcd_world: EtcdWorld, backend: EtcdBackend
) -> None:
    plant(etcd_world, b"compactor", b"now")
    assert backend.try_compaction_turn(1, soon()) == (True, 2, 0)
    mine, _, noted = backend.try_compaction_turn(2, soon())
    assert mine
    assert noted > 0


def test_a_record_that_is_not_text_is_ignored_and_not_logged(
    etcd_world: EtcdWorld, backend: EtcdBackend, caplog: pytest.LogCaptureFixture
) -> None:
    stack = make_stack(backend, new_scope())
    put_all(backend, stack, new_fact("good"))
    key = f"data/{stack.project_id}/{stack.id}/facts/bad".encode()
    plant(etcd_world, key, b'{"format": 1}\n"hunter2 \xff"')
    found = backend.facts_at(stack, "", "", 9, backend.head(soon()), soon())
    assert [fact.path for fact in found] == ["good"]
    assert "is ignored" in caplog.text
    assert "hunter2" not in caplog.text
