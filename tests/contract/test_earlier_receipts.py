"""Receipts that a worker of an earlier version has stored outside the stacks, in a real etcd."""

from __future__ import annotations

import json
from typing import cast
from unittest.mock import Mock

from factstore.core.operations.idempotency import earlier_receipt
from factstore.store.client import EtcdClient
from factstore.store.earlier_receipts import EarlierReceipts
from factstore.store.etcd import EtcdBackend
from factstore.store.types import PutKey, Txn
from tests.contract.world import PROJECT, EtcdWorld, soon, steps

VALUE = json.dumps({"fingerprint": "print", "results": []}).encode()


def plant(world: EtcdWorld) -> int:
    """Write a receipt as an earlier version did, and return the revision."""
    put = PutKey(world.keys.receipt(PROJECT, "key"), VALUE)
    return world.raw.transact(Txn([], [put]), deadline=soon())[1]


def found(backend: EtcdBackend, key: str = "key") -> object:
    return backend.earlier_receipt(PROJECT, key, backend._head.epoch, soon())


def test_a_new_worker_finds_a_receipt_of_an_earlier_version(etcd_world: EtcdWorld) -> None:
    revision = plant(etcd_world)
    backend = etcd_world.opened_backend()
    assert found(backend) == earlier_receipt("key", VALUE, revision)
    assert found(backend, "other") is None


def test_a_worker_finds_the_receipts_that_an_earlier_version_stores_beside_it(
    etcd_world: EtcdWorld,
) -> None:
    backend = etcd_world.opened_backend()
    start = backend.head(soon())
    assert found(backend) is None
    revision = plant(etcd_world)
    (step,) = steps(backend, start, revision)
    assert step.mutations == (), "it is no part of the state"
    assert found(backend) == earlier_receipt("key", VALUE, revision)


def test_no_call_is_made_where_no_earlier_version_has_stored_any(etcd_world: EtcdWorld) -> None:
    client = Mock(spec=EtcdClient, get=etcd_world.raw.get)
    receipts = EarlierReceipts(cast("EtcdClient", client), etcd_world.keys)
    receipts.look(soon())
    client.get = Mock(side_effect=AssertionError("a call"))
    receipts.note([])
    assert receipts.find(PROJECT, "key", soon()) is None
