"""Calls to a real etcd from gevent's loop; each that fails is left to gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import gevent
import gevent.socket
import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.store.client import EtcdClient
from factstore.store.client import messages as rpc
from factstore.store.client.leases import KEEP_ALIVE
from factstore.store.client.loop_calls import CALL_SECONDS, LoopCalls
from factstore.store.client.loop_client import RANGE
from factstore.store.types import Credentials
from tests.contract.test_etcd_security import Secured, secured, soon  # noqa: F401
from tests.relay import Relay

PATIENCE = 20.0
QUESTION = rpc.RangeRequest(key=b"/factstore/loop").SerializeToString()


def connected(calls: LoopCalls, method: str, message: bytes) -> list[bytes | None]:
    """Start a call, as soon as there is a connection, and return the list of its results."""
    found: list[bytes | None] = []
    with gevent.Timeout(PATIENCE):
        while not calls.call(method, message, found.append):
            gevent.sleep(0.01)
    return found


def result(found: list[bytes | None]) -> bytes | None:
    with gevent.Timeout(PATIENCE):
        while not found:
            gevent.sleep(0.001)
    return found[0]


@pytest.fixture
def plain(etcd: EtcdServer) -> Iterator[LoopCalls]:
    with closing(LoopCalls(lambda: etcd.endpoint, Credentials(), lambda: "")) as calls:
        yield calls


def test_keys_are_read_and_leases_renewed(plain: LoopCalls, etcd: EtcdServer) -> None:
    with closing(EtcdClient([etcd.endpoint], Credentials())) as client:
        lease = client.grant(60, deadline=soon())
        running = [connected(plain, RANGE, QUESTION) for _ in range(300)]
        for found in running:
            assert rpc.RangeResponse.FromString(result(found) or b"").header.revision > 0
        for alive in (True, False):
            message = rpc.LeaseKeepAliveRequest(ID=lease).SerializeToString()
            answer = result(connected(plain, KEEP_ALIVE, message)) or b""
            assert (rpc.LeaseKeepAliveResponse.FromString(answer).TTL > 0) is alive
            client.revoke(lease, deadline=soon())


def test_a_call_that_etcd_refuses_has_no_result(plain: LoopCalls) -> None:
    assert result(connected(plain, "/etcdserverpb.KV/Nothing", b"")) is None
    compacted = rpc.RangeRequest(key=b"a", revision=2**62).SerializeToString()
    assert result(connected(plain, RANGE, compacted)) is None
    assert result(connected(plain, RANGE, QUESTION)) is not None


def test_a_user_of_etcd_needs_tls_and_a_valid_token(secured: Secured) -> None:  # noqa: F811
    tokens = ["no token yet", "", "forgotten.1"]
    with closing(EtcdClient([secured.server.endpoint], secured.credentials)) as client:
        client.get(b"/factstore/loop", deadline=soon())
        tokens.append(client._token)
    calls = LoopCalls(
        lambda: secured.server.endpoint,
        secured.credentials,
        lambda: None if tokens[0] == "no token yet" else tokens[0],
    )
    with closing(calls):
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.2):
            connected(calls, RANGE, QUESTION)
        found = []
        for _ in range(3):
            del tokens[0]
            found.append(result(connected(calls, RANGE, QUESTION)))
        assert found[:2] == [None, None]
        assert found[2] is not None


def test_a_lost_connection_ends_its_calls_and_another_is_opened(etcd: EtcdServer) -> None:
    relays = [Relay(etcd.endpoint), Relay(etcd.endpoint)]
    current = [relays[0].endpoint]
    with closing(LoopCalls(lambda: current[0], Credentials(), lambda: "")) as calls:
        assert result(connected(calls, RANGE, QUESTION)) is not None
        found = connected(calls, RANGE, QUESTION)
        relays[0].cut()
        result(found)  # it may have been answered before
        current[0] = relays[1].endpoint
        assert result(connected(calls, RANGE, QUESTION)) is not None
    relays[1].cut()


def test_a_server_that_does_not_answer_counts_as_lost() -> None:
    with closing(gevent.socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(LoopCalls(lambda: url, Credentials(), lambda: "")) as calls:
            found = connected(calls, RANGE, QUESTION)
            assert found == []
            with gevent.Timeout(CALL_SECONDS * 10):
                assert result(found) is None
            assert not calls.call(RANGE, QUESTION, found.append)
