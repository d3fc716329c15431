"""Watches on a member of etcd that has lost the leader."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from factstore.core.errors import Unavailable
from factstore.store.client import EtcdClient, WatchStream
from factstore.store.types import Credentials, PutKey, Txn
from tests.contract.world import soon
from tests.etcd_cluster import EtcdCluster
from tests.eventually import eventually

KEY = b"/leaderless"


class Watcher:
    """A thread that reads a watch, until it ends."""

    def __init__(self, stream: WatchStream) -> None:
        self.values: list[bytes] = []
        self.end: str | None = None
        self._stream = stream
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            for events in self._stream:
                self.values.extend(event.item.value for event in events)
        except Unavailable as error:
            self.end = str(error)


def put(client: EtcdClient, value: bytes) -> int:
    _, revision = client.transact(Txn((), (PutKey(KEY, value),)), soon())
    return revision


def test_a_watch_ends_on_a_member_without_a_leader_and_another_one_continues(
    tmp_path: Path,
) -> None:
    (tmp_path / "etcd").mkdir()
    cluster = EtcdCluster(tmp_path / "etcd")
    client = None
    try:
        cluster.start()
        cluster.wait_ready()
        survivor, other = cluster.followers()
        frozen = [other, cluster.leader()]
        client = EtcdClient([survivor.endpoint, *(each.endpoint for each in frozen)], Credentials())
        revision = put(client, b"1")
        first = Watcher(client.watch(KEY, b"", revision))
        eventually(lambda: first.values == [b"1"])
        for each in frozen:
            each.child.pause()
        eventually(lambda: first.end is not None)
        assert first.end is not None
        assert "no leader" in first.end
        with pytest.raises(Unavailable, match="no leader"):  # at once, not after the next loss
            list(client.watch(KEY, b"", revision))
        for each in frozen:
            each.child.resume()

        def is_written() -> bool:
            try:
                return put(client, b"2") > revision
            except Unavailable:
                return False

        eventually(is_written)
        second = Watcher(client.watch(KEY, b"", revision))
        eventually(lambda: second.values[:2] == [b"1", b"2"])
    finally:
        if client is not None:
            client.close()
        cluster.stop()
