"""The fence of attempts, in a real etcd."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.transaction import GUARDS, OWN_GUARDS
from factstore.store.attempt_fence import AttemptFence
from factstore.store.client import EtcdClient
from factstore.store.commit_batch import BATCH_SIZE
from factstore.store.types import Compare, Credentials, Fence, Fenced, PutKey, Txn
from tests.contract.world import soon

_numbers = itertools.count()


@pytest.fixture
def client(etcd: EtcdServer) -> Iterator[EtcdClient]:
    with closing(EtcdClient([etcd.endpoint], Credentials())) as made:
        yield made


@pytest.fixture
def root() -> str:
    return f"/fences-{next(_numbers)}"


@pytest.fixture
def key(root: str) -> bytes:
    return f"{root}/fence".encode()


def puts(root: str, count: int, compares: int = 1) -> list[Txn]:
    """Return transactions that create keys."""
    made = []
    for number in range(count):
        path = f"{root}/facts/{number}"
        absent = [Compare(f"{path}/{n}".encode(), "mod", "==", 0) for n in range(compares)]
        made.append(Txn(absent, [PutKey(path.encode(), b"1")]))
    return made


def exist(client: EtcdClient, root: str) -> bool:
    return bool(
        client.get(f"{root}/facts/".encode(), f"{root}/facts0".encode(), deadline=soon()).items
    )


@pytest.mark.parametrize("count", [1, 3])
def test_an_attempt_is_not_applied_once_its_fence_was_raised(
    client: EtcdClient, root: str, key: bytes, count: int
) -> None:
    late = Fence(key, 0)
    raised = client.raise_fence(late, soon())
    with pytest.raises(Fenced) as refused:
        client.transact_all(puts(root, count), soon(), late)
    assert refused.value.revision == raised
    assert not exist(client, root)
    succeeded, revision = client.transact_all(puts(root, count), soon(), Fence(key, raised))
    assert (succeeded, revision) == ([True] * count, raised + 1)


def test_a_fence_is_raised_once_however_often_that_is_tried(client: EtcdClient, key: bytes) -> None:
    first = client.raise_fence(Fence(key, 0), soon())
    assert client.raise_fence(Fence(key, 0), soon()) == first
    fence = AttemptFence(key, client.raise_fence)
    assert fence.raise_(soon()) == first == fence.current.revision
    assert fence.raise_(soon()) > first
    fence.note(Fence(key, first), 1)  # of an attempt that was sent before
    assert fence.current.revision > first


@pytest.mark.parametrize("count", [1, 2])
def test_a_guard_that_fails_is_not_taken_for_a_fence(
    client: EtcdClient, root: str, key: bytes, count: int
) -> None:
    raised = client.raise_fence(Fence(key, 0), soon())
    taken = [Txn([Compare(key, "create", "==", 0)], [PutKey(key + b"/a", b"1")])]
    taken += puts(root, count - 1)
    succeeded, _ = client.transact_all(taken, soon(), Fence(key, raised))
    assert succeeded == [False, True][:count]


@pytest.mark.parametrize(
    ("count", "compares"),
    [(1, BATCH_SIZE), (2, BATCH_SIZE - 2), (BATCH_SIZE - 1, 1), (1, GUARDS - OWN_GUARDS + 2)],
)
def test_the_largest_attempts_are_within_etcds_limit(
    client: EtcdClient, root: str, key: bytes, count: int, compares: int
) -> None:
    succeeded, _ = client.transact_all(puts(root, count, compares), soon(), Fence(key, 0))
    assert succeeded == [True] * count
