"""The fence of attempts, in a real etcd."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import Unavailable
from factstore.core.model.transaction import GUARDS, OWN_GUARDS
from factstore.store.attempt_fence import AttemptFence
from factstore.store.client import EtcdClient
from factstore.store.client.encoding import encode_compare, encode_operations
from factstore.store.commit_batch import BATCH_SIZE, united
from factstore.store.types import Compare, Credentials, FactTxn, Fence, Fenced, PutKey, Txn
from tests.contract.world import soon
from tests.patient_client import PatientClient

_numbers = itertools.count()


@pytest.fixture
def client(etcd: EtcdServer) -> Iterator[EtcdClient]:
    with closing(PatientClient([etcd.endpoint], Credentials())) as made:
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


def encoded(txn: Txn) -> FactTxn:
    compares = tuple(map(encode_compare, txn.compares))
    return FactTxn(compares, encode_operations(txn.operations), txn.written)


@pytest.mark.parametrize("compares", [1, 2])
def test_writes_as_one_are_within_etcds_limit_and_written_or_fenced_together(
    client: EtcdClient, root: str, key: bytes, compares: int
) -> None:
    txns = list(map(encoded, puts(root, BATCH_SIZE // compares, compares)))
    raised = client.raise_fence(Fence(key, 0), soon())
    exists = encoded(Txn([Compare(key, "create", "==", 0)], [PutKey(key + b"/a", b"1")]))
    failing, together = united([*txns[1:], exists]), united(txns)
    assert failing is not None
    assert together is not None
    assert client.transact_all([failing], soon(), Fence(key, raised))[0] == [False]
    with pytest.raises(Fenced):
        client.transact_all([together], soon(), Fence(key, raised - 1))
    assert not exist(client, root)
    assert client.transact_all([together], soon(), Fence(key, raised)) == ([True], raised + 1)
    found = client.get(f"{root}/facts/".encode(), f"{root}/facts0".encode(), deadline=soon())
    assert [item.revision for item in found.items] == [raised + 1] * len(txns)


def test_many_ordinary_calls_to_a_silent_member_do_not_keep_out_a_fence(
    etcd: EtcdServer, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factstore.store.client.calls.ORDINARY_CALLS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            closing(EtcdClient([url, etcd.endpoint], Credentials())) as client,
            ThreadPoolExecutor(1) as threads,
        ):
            waiting = threads.submit(client.get, b"a", b"b", deadline=soon())
            connection, _ = silent.accept()
            with connection:
                with pytest.raises(Unavailable, match="nothing was sent to etcd"):
                    client.get(b"a", deadline=time.monotonic() + 0.2)
                assert client.raise_fence(Fence(key, 0), soon()) > 0
                assert not waiting.done()
            assert waiting.result(60).revision > 0


def test_a_call_without_time_is_not_said_to_be_etcds_fault(client: EtcdClient) -> None:
    with pytest.raises(Unavailable, match="nothing was sent to etcd"):
        client.get(b"a", deadline=time.monotonic())


LOST_CALLS = """
import gevent.monkey; gevent.monkey.patch_all()
import sys, threading, time
from factstore.store.client import EtcdClient
from factstore.store.types import Credentials
silent, etcd = (EtcdClient([url], Credentials(), fast_calls=False) for url in sys.argv[1:])
def ask():
    try:
        silent.get(b"a", b"b", deadline=time.monotonic() + 60)
    except Exception:
        pass
for _ in range(30):
    threading.Thread(target=ask, daemon=True).start()
print(etcd.get(b"a", deadline=time.monotonic() + 60).revision > 0, flush=True)
silent.close()
"""


def test_under_gevent_a_call_is_answered_while_many_others_are_lost(etcd: EtcdServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        argv = [sys.executable, "-c", LOST_CALLS, url, etcd.endpoint]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert ran.stdout == "True\n", ran.stderr
