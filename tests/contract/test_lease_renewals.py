"""Renewing leases in a real etcd: many at once, and while etcd members crash, freeze and recover."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import Unavailable
from factstore.store.client import EtcdClient
from factstore.store.types import Credentials, PutKey, Txn
from tests.contract.world import soon
from tests.etcd_cluster import EtcdCluster
from tests.eventually import eventually

CALLERS = 64


@pytest.fixture
def client(etcd: EtcdServer) -> Iterator[EtcdClient]:
    yield from _connected(etcd.endpoint)


@pytest.fixture
def lonely(private_etcd: EtcdServer) -> Iterator[EtcdClient]:
    yield from _connected(private_etcd.endpoint)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    """A cluster of three etcd members that a test may kill and freeze."""
    (tmp_path / "etcd").mkdir()
    made = EtcdCluster(tmp_path / "etcd")
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.stop()


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    """A pool with all threads started; otherwise it creates them on demand."""
    with ThreadPoolExecutor(CALLERS) as pool:
        everybody = threading.Barrier(CALLERS)
        list(pool.map(lambda _: everybody.wait(60), range(CALLERS)))
        yield pool


def _connected(*endpoints: str) -> Iterator[EtcdClient]:
    made = EtcdClient(endpoints, Credentials())
    yield made
    made.close()


def _renewed(client: EtcdClient, lease: int) -> bool:
    """Renew a lease; return True if etcd confirms that it is alive."""
    try:
        return client.renew(lease, deadline=time.monotonic() + 1)
    except Unavailable:
        return False


def test_only_an_existing_lease_is_renewed(
    client: EtcdClient,
) -> None:
    lease = client.grant(60, deadline=soon())
    assert client.renew(lease, deadline=soon())
    assert client.renew(lease, deadline=soon())
    client.revoke(lease, deadline=soon())
    assert not client.renew(lease, deadline=soon())
    assert not client.renew(4711, deadline=soon())


def test_each_of_many_callers_gets_the_answer_for_its_own_lease(
    client: EtcdClient, callers: ThreadPoolExecutor
) -> None:
    leases = [client.grant(60, deadline=soon()) for _ in range(200)]
    ended = set(leases[::3])
    for lease in ended:
        client.revoke(lease, deadline=soon())
    asked = leases * 5
    alive = list(callers.map(lambda lease: client.renew(lease, deadline=soon()), asked))
    assert alive == [lease not in ended for lease in asked]


def test_one_lease_may_be_renewed_by_many_at_once(
    client: EtcdClient, callers: ThreadPoolExecutor
) -> None:
    lease = client.grant(60, deadline=soon())
    renewing = [callers.submit(client.renew, lease, deadline=soon()) for _ in range(CALLERS * 3)]
    assert all(done.result() for done in renewing)


def test_every_renewal_is_observed_with_the_time_it_took(etcd: EtcdServer) -> None:
    seen: list[tuple[str, float]] = []
    client = EtcdClient([etcd.endpoint], Credentials(), lambda *observed: seen.append(observed))
    lease = client.grant(60, deadline=soon())
    seen.clear()
    began = time.monotonic()
    for _ in range(3):
        client.renew(lease, deadline=soon())
    took = time.monotonic() - began
    client.close()
    assert [call for call, _ in seen] == ["lease_keep_alive"] * 3
    assert 0 < sum(seconds for _, seconds in seen) <= took


def test_renewals_continue_at_another_etcd_member_if_one_is_killed_or_frozen(
    cluster: EtcdCluster, callers: ThreadPoolExecutor
) -> None:
    # Not the leader, since an election takes longer. The client uses the first endpoint that answers.
    first, second = cluster.followers()
    endpoints = [first.endpoint, second.endpoint, cluster.leader().endpoint]
    client = EtcdClient(endpoints, Credentials())
    leases = [client.grant(60, deadline=soon()) for _ in range(8)]

    def renew_all() -> bool:
        return all(callers.map(lambda lease: client.renew(lease, deadline=soon()), leases * 8))

    assert renew_all()
    for lose, regain in ((first.kill, first.start), (second.pause, second.resume)):
        lose()
        try:
            assert renew_all()
        finally:
            regain()
        cluster.wait_ready()
    client.close()


def test_a_request_to_a_frozen_etcd_fails_at_the_deadline_and_a_later_one_succeeds(
    lonely: EtcdClient, private_etcd: EtcdServer, callers: ThreadPoolExecutor
) -> None:
    lease = lonely.grant(60, deadline=soon())
    assert lonely.renew(lease, deadline=soon())
    began = time.monotonic()
    private_etcd.pause()
    try:
        renewing = [callers.submit(lonely.renew, lease, deadline=began + 1) for _ in range(8)]
        for done in renewing:
            with pytest.raises(Unavailable):
                done.result(60)  # it fails while etcd is still frozen
        assert time.monotonic() - began >= 1
    finally:
        private_etcd.resume()
    eventually(lambda: _renewed(lonely, lease))
    # Answers that arrive after the deadline are discarded.
    lonely.revoke(lease, deadline=soon())
    assert not lonely.renew(lease, deadline=soon())


def test_a_killed_etcd_leaves_neither_threads_nor_open_files_in_the_client(
    lonely: EtcdClient, private_etcd: EtcdServer, callers: ThreadPoolExecutor
) -> None:
    lease = lonely.grant(60, deadline=soon())

    def resources() -> tuple[int, int]:
        renewals = callers.map(lambda _: lonely.renew(lease, deadline=soon()), range(CALLERS * 2))
        assert all(renewals)
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    before = resources()
    for _ in range(3):
        private_etcd.kill()
        assert not any(callers.map(lambda _: _renewed(lonely, lease), range(8)))
        private_etcd.start()
        eventually(lambda: _renewed(lonely, lease))
    eventually(lambda: all(now <= then for now, then in zip(resources(), before, strict=True)))


@pytest.mark.parametrize("endpoints", [1, 3])
def test_renewals_that_wait_fail_when_the_client_is_closed(
    private_etcd: EtcdServer, callers: ThreadPoolExecutor, endpoints: int
) -> None:
    began = threading.Semaphore(0)

    class Client(EtcdClient):
        def renew(self, lease: int, *, deadline: float) -> bool:
            began.release()
            return super().renew(lease, deadline=deadline)

    client = Client([private_etcd.endpoint] * endpoints, Credentials())
    lease = client.grant(60, deadline=soon())
    private_etcd.pause()
    try:
        far = time.monotonic() + 60
        renewing = [callers.submit(client.renew, lease, deadline=far) for _ in range(8)]
        for _ in renewing:
            assert began.acquire(timeout=60)
        client.close()
        for done in renewing:
            with pytest.raises(Unavailable):
                done.result(60)
        with pytest.raises(Unavailable):
            client.renew(lease, deadline=far)
    finally:
        private_etcd.resume()


def test_a_closed_client_refuses_requests(etcd: EtcdServer) -> None:
    client = EtcdClient([etcd.endpoint], Credentials())
    client.close()
    for ask in (
        lambda: client.get(b"/x", deadline=soon()),
        lambda: client.transact(Txn([], [PutKey(b"/x", b"")]), deadline=soon()),
        lambda: client.watch(b"/x", b"", 0),
    ):
        with pytest.raises(Unavailable, match="closed"):
            ask()
