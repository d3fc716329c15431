"""Watches of a real etcd from gevent's loop; each that fails is left to its owner, as with gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice

import gevent
import gevent.socket
import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import Unavailable
from factstore.store.client import EtcdClient, WatchStream, silence
from factstore.store.client.http2 import UNREAD
from factstore.store.client.loop_client import LoopClient
from factstore.store.client.loop_stream import LoopWatch
from factstore.store.client.watch_stream import GrpcWatch
from factstore.store.types import (
    Compacted,
    Credentials,
    DeleteKeys,
    Operation,
    PutKey,
    Txn,
    WatchEvent,
)
from tests.contract.world import soon
from tests.patient_client import PatientClient
from tests.relay import Relay

PATIENCE = 60.0


def loop_client(
    endpoint: Callable[[], str],
    credentials: Credentials = Credentials(),  # noqa: B008 - it has no state
    token: Callable[[], str | None] = lambda: "",
    connected: Callable[[], object] = lambda: None,
) -> LoopClient:
    return LoopClient(
        endpoint, credentials, token, lambda call, seconds: None, connected, enabled=True
    )


def opened(loop: LoopClient, key: bytes, end: bytes = b"", start: int = 0) -> LoopWatch:
    """Return a watch, as soon as there is a connection."""
    with gevent.Timeout(PATIENCE):
        while (watch := loop.watch(key, end, start, lambda: None)) is None:
            gevent.sleep(0.01)
    return watch


def read(stream: WatchStream, revisions: int) -> list[list[WatchEvent]]:
    with gevent.Timeout(PATIENCE):
        return [list(events) for events in islice(stream, revisions)]


def end_of(stream: WatchStream) -> str:
    with gevent.Timeout(PATIENCE), pytest.raises(Unavailable) as caught:
        list(stream)
    return str(caught.value)


@pytest.fixture
def client(etcd: EtcdServer) -> Iterator[EtcdClient]:
    with closing(PatientClient([etcd.endpoint], Credentials())) as made:
        yield made


@pytest.fixture
def loop(etcd: EtcdServer) -> Iterator[LoopClient]:
    with closing(loop_client(lambda: etcd.endpoint)) as made:
        yield made


def test_a_watch_reports_what_grpc_reports(client: EtcdClient, loop: LoopClient) -> None:
    key, end = b"/loop-watch/", b"/loop-watch0"

    def write(*operations: Operation) -> int:
        return client.transact(Txn((), operations), soon())[1]

    first = write(PutKey(key + b"a", b"1"))
    watch = opened(loop, key, end, first)
    write(PutKey(key + b"a", b"2"), PutKey(key + b"b", b"\0\xff"))
    write(DeleteKeys(key, end))
    # More than the windows of HTTP/2, and more than is acknowledged before it is read.
    large = [write(PutKey(key + b"large", bytes([n]) * 1_400_000)) for n in range(5)]
    assert sum(1_400_000 for _ in large) > UNREAD
    expected = read(client.watch(key, end, first), 8)
    assert [events[0].item.revision for events in expected[3:]] == large
    assert read(watch, 8) == expected
    assert end_of(watch), "it was closed when its reader left"


def test_a_closed_watch_ends_for_its_reader(loop: LoopClient) -> None:
    watch = opened(loop, b"/loop-watch-closed")
    gevent.get_hub().loop.run_callback(watch.close)
    assert end_of(watch)
    assert loop.watch(b"/loop-watch-closed", b"", 0, lambda: None), "gRPC need not find out why"


def test_a_compacted_revision_is_reported(private_etcd: EtcdServer) -> None:
    with (
        closing(EtcdClient([private_etcd.endpoint], Credentials())) as client,
        closing(loop_client(lambda: private_etcd.endpoint)) as loop,
    ):
        for value in (b"1", b"2", b"3"):
            _, revision = client.transact(Txn((), (PutKey(b"a", value),)), soon())
        client.compact(revision, deadline=soon())
        with pytest.raises(Compacted) as caught:
            read(opened(loop, b"a", b"", 1), 1)
        assert caught.value.revision == revision
        watch = opened(loop, b"a", b"", revision + 1)
        private_etcd.child.kill()
        assert "broke" in end_of(watch)


def test_a_connection_can_be_opened_before_it_is_needed(etcd: EtcdServer) -> None:
    connections: list[bool] = []
    with closing(
        loop_client(lambda: etcd.endpoint, connected=lambda: connections.append(True))
    ) as loop:
        loop.connect_soon()
        with gevent.Timeout(PATIENCE):
            while not connections:
                gevent.sleep(0.01)
        watch = loop.watch(b"/loop-watch-early", b"", 0, lambda: None)
        assert watch is not None
        assert read_created(watch)
        calls = loop._calls
        assert calls is not None
        calls._retry_at = 0.0  # otherwise it would not be tried again so soon
        loop.connect_soon()
        assert not calls._connecting


def test_a_watch_ends_with_its_connection(etcd: EtcdServer) -> None:
    with Relay(etcd.endpoint) as relay, closing(loop_client(lambda: relay.endpoint)) as loop:
        watch = opened(loop, b"/loop-watch-cut")
        assert read_created(watch)
        relay.cut()
        assert "broke" in end_of(watch)
        relay.mend()
        assert opened(loop, b"/loop-watch-cut").begun


def read_created(watch: LoopWatch) -> bool:
    """Wait until etcd has answered, which is without events at first."""
    with gevent.Timeout(PATIENCE):
        while watch._messages.empty():
            gevent.sleep(0.01)
    return True


def test_a_watch_of_a_silent_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "PING_SECONDS", 0.1)
    monkeypatch.setattr(silence, "PONG_SECONDS", 0.1)
    with closing(gevent.socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(loop_client(lambda: url)) as loop:
            watch = opened(loop, b"/loop-watch-silent")
            assert "broke" in end_of(watch)
            assert loop.watch(b"/loop-watch-silent", b"", 0, lambda: None) is None


def test_a_watch_of_grpc_ends_when_another_can_be_opened_in_the_loop(
    client: EtcdClient, etcd: EtcdServer
) -> None:
    client.loop = loop_client(lambda: etcd.endpoint, connected=client._replace_watch)
    first = client.watch(b"/loop-watch-replaced", b"", 0)
    assert isinstance(first, GrpcWatch)
    with gevent.Timeout(PATIENCE):
        while client._replaceable is not None:
            gevent.sleep(0.01)
    assert end_of(first)
    _, revision = client.transact(Txn((), (PutKey(b"/loop-watch-replaced", b"v"),)), soon())
    second = client.watch(b"/loop-watch-replaced", b"", revision)
    assert isinstance(second, LoopWatch)
    ((event,),) = read(second, 1)
    assert event.item.revision == revision
