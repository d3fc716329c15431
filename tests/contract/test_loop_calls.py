"""Calls to a real etcd from gevent's loop; each that fails is left to gRPC."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count, islice
from typing import Any
from unittest.mock import Mock

import gevent
import gevent.socket
import pytest
from gevent.server import StreamServer

from factstore.cmd.processes.etcd import EtcdServer
from factstore.store.client import EtcdClient, loop_calls, loop_connect
from factstore.store.client import messages as rpc
from factstore.store.client.encoding import TXN, encode_transaction
from factstore.store.client.http2_calls import Failure
from factstore.store.client.http2_frames import ACK, PING, PREFACE, SETTINGS, frame
from factstore.store.client.leases import (
    KEEP_ALIVE,
    RENEWALS,
    REVOKE,
    TIME_TO_LIVE,
    has_expired,
    question_of_age,
    revocation,
    seconds_since_renewal,
    time_to_live,
)
from factstore.store.client.loop_calls import LoopCalls
from factstore.store.client.loop_client import RANGE, LoopClient
from factstore.store.client.silence import SILENT_SECONDS
from factstore.store.types import Credentials, PutKey, Txn
from tests.contract.test_etcd_security import Secured, secured, soon  # noqa: F401
from tests.contract.test_loop_watch import end_of, loop_client, opened, read
from tests.patient_client import PatientClient
from tests.relay import Relay

PATIENCE = 60.0
GRANT = "/etcdserverpb.Lease/LeaseGrant"
QUESTION = rpc.RangeRequest(key=b"/factstore/loop").SerializeToString()


def connected(
    calls: LoopCalls, method: str, message: bytes, seconds: float = PATIENCE
) -> list[bytes | Failure]:
    """Start a call, as soon as there is a connection, and return the list of its results."""
    found: list[bytes | Failure] = []

    def end(got: list[bytes] | Failure) -> None:
        found.append(got if isinstance(got, Failure) else b"".join(got))

    with gevent.Timeout(PATIENCE):
        while not calls.call(method, [message], end, seconds):
            gevent.sleep(0.01)
    return found


def result(found: list[bytes | Failure]) -> bytes | Failure:
    with gevent.Timeout(PATIENCE):
        while not found:
            gevent.sleep(0.001)
    return found[0]


def whole(found: bytes | Failure) -> bytes:
    assert isinstance(found, bytes)
    return found


@pytest.fixture
def plain(etcd: EtcdServer) -> Iterator[LoopCalls]:
    with closing(LoopCalls(lambda: etcd.endpoint, Credentials(), lambda: "")) as calls:
        yield calls


def test_keys_are_read_and_leases_renewed(plain: LoopCalls, etcd: EtcdServer) -> None:
    with closing(PatientClient([etcd.endpoint], Credentials())) as client:
        lease = client.grant(60, deadline=soon())
        running = [connected(plain, RANGE, QUESTION) for _ in range(300)]
        for found in running:
            assert rpc.RangeResponse.FromString(whole(result(found))).header.revision > 0
        for alive in (True, False):
            message = rpc.LeaseKeepAliveRequest(ID=lease).SerializeToString()
            answer = whole(result(connected(plain, KEEP_ALIVE, message)))
            assert (rpc.LeaseKeepAliveResponse.FromString(answer).TTL > 0) is alive
            client.revoke(lease, deadline=soon())


def test_an_endpoint_without_a_port_has_the_one_of_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Mock(side_effect=ConnectionRefusedError)
    monkeypatch.setattr(gevent.socket, "create_connection", found)
    with pytest.raises(ConnectionRefusedError):
        loop_connect.connect("http://etcd.example", Credentials())
    found.assert_called_once_with(("etcd.example", 443))


def test_what_is_deferred_is_sent_with_the_calls_of_its_turn(
    plain: LoopCalls, caplog: pytest.LogCaptureFixture
) -> None:
    result(connected(plain, RANGE, QUESTION))
    found: list[list[bytes | Failure]] = []

    def fail() -> None:
        raise ZeroDivisionError

    def start() -> None:
        found.append(connected(plain, RANGE, QUESTION))

    def start_two() -> None:
        start()
        plain.defer(start)

    found.append(connected(plain, RANGE, QUESTION))
    for call in (fail, start_two):
        plain.defer(call)
    assert len(found) == 1, "others of this turn come first"
    gevent.sleep(0)  # until the end of the turn
    assert len(found) == 3
    assert all(isinstance(result(each), bytes) for each in found)
    assert "A deferred call failed." in caplog.text


def test_the_renewals_of_one_turn_share_calls(etcd: EtcdServer) -> None:
    calls: list[str] = []
    with closing(PatientClient([etcd.endpoint], Credentials())) as client:
        leases = [client.grant(60, deadline=soon()) for _ in range(2 * RENEWALS + 1)]
        client.revoke(leases[1], deadline=soon())
        client.revoke(leases[-1], deadline=soon())
        loop = LoopClient(
            lambda: etcd.endpoint,
            Credentials(),
            lambda: "",
            lambda call, seconds: calls.append(call),
            lambda: None,
            enabled=True,
        )
        with closing(loop), gevent.Timeout(PATIENCE):
            alive: dict[int, bool | None] = {leases[0]: None}
            while alive[leases[0]] is None:  # until there is a connection
                alive.clear()
                calls.clear()
                for lease in leases:
                    assert loop.renew(lease, lambda found, on=lease: alive.update({on: found}))  # type: ignore[misc]
                while len(alive) < len(leases):
                    gevent.sleep(0.001)
        assert [alive[lease] for lease in leases] == [
            lease not in (leases[1], leases[-1]) for lease in leases
        ]
        assert calls == ["lease_keep_alive"] * 3


@pytest.fixture
def many(etcd: EtcdServer) -> Iterator[LoopClient]:
    """A client that has a connection."""
    loop = LoopClient(
        lambda: etcd.endpoint,
        Credentials(),
        lambda: "",
        lambda call, seconds: None,
        lambda: None,
        enabled=True,
    )
    with closing(loop), gevent.Timeout(PATIENCE):
        while isinstance(loop.call_all("range", RANGE, [QUESTION])[0], Failure):
            gevent.sleep(0.001)
        yield loop


def times_to_live(loop: LoopClient, leases: Sequence[int]) -> list[Any]:
    """Return what etcd answers about the time of leases."""
    requests = list(map(question_of_age, leases))
    answers = loop.call_all("lease_time_to_live", TIME_TO_LIVE, requests)
    return [time_to_live(answer) for answer in answers if isinstance(answer, bytes)]


def test_calls_are_made_side_by_side_and_each_that_etcd_refuses_has_its_failure(
    etcd: EtcdServer, many: LoopClient
) -> None:
    with closing(PatientClient([etcd.endpoint], Credentials())) as client:
        leases = [client.grant(60, deadline=soon()) for _ in range(40)]
        client.revoke(leases[7], deadline=soon())
        requests = list(map(revocation, leases))
        without_loop = client.loop.call_all("lease_revoke", REVOKE, requests)
        assert without_loop == [Failure.REFUSED] * 40
        answers = times_to_live(many, leases)
        seconds = list(map(seconds_since_renewal, answers))
        assert [each == math.inf for each in seconds] == [n == 7 for n in range(40)]
        assert all(0 <= each < 60 for n, each in enumerate(seconds) if n != 7)
        assert not any(map(has_expired, answers))
        revoked = many.call_all("lease_revoke", REVOKE, requests)
        assert [each is Failure.NO_LEASE for each in revoked] == [n == 7 for n in range(40)]
        assert [isinstance(each, bytes) for each in revoked] == [n != 7 for n in range(40)]
        assert many.call_all("lease_revoke", REVOKE, []) == []
        assert not set(leases) & set(client.leases(deadline=soon()))


def test_a_lease_that_etcd_calls_expired_is_not_renewed_any_more(many: LoopClient) -> None:
    ids = count(2**40)

    def expired() -> list[int]:
        # etcd revokes only 500 at once, and as many half a second later.
        for _ in range(11):
            last = list(islice(ids, 200))
            requests = [rpc.LeaseGrantRequest(TTL=1, ID=each).SerializeToString() for each in last]
            many.call_all("lease_grant", GRANT, requests)
        while answers := times_to_live(many, last):
            if found := [answer.ID for answer in answers if has_expired(answer)]:
                return found
            if not any(answer.grantedTTL for answer in answers):
                break  # etcd was faster than this process
            gevent.sleep(0.05)
        return []

    while not (found := expired()):
        pass
    renewed: list[bool | None] = []
    for lease in found[:20]:
        assert many.renew(lease, renewed.append)
    while len(renewed) < len(found[:20]):
        gevent.sleep(0.01)
    assert True not in renewed  # an answer that takes too long is None, and repeated with gRPC


def test_a_call_that_etcd_refuses_has_no_result(plain: LoopCalls) -> None:
    assert result(connected(plain, "/etcdserverpb.KV/Nothing", b"")) is Failure.LOST
    expired = encode_transaction(Txn((), (PutKey(b"a", b"v", lease=77),)))
    assert result(connected(plain, TXN, expired)) is Failure.NO_LEASE
    assert isinstance(result(connected(plain, RANGE, QUESTION)), bytes)


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
        assert all(isinstance(each, Failure) for each in found[:2])
        assert isinstance(found[2], bytes)


def test_a_watch_with_a_stale_token_is_left_to_grpc_once(secured: Secured) -> None:  # noqa: F811
    with closing(EtcdClient([secured.server.endpoint], secured.credentials)) as client:
        _, revision = client.transact(Txn((), (PutKey(b"/factstore/w", b"v"),)), soon())
        tokens = ["forgotten.1"]
        forgotten: list[None] = []
        loop = loop_client(lambda: secured.server.endpoint, secured.credentials, lambda: tokens[0])
        with closing(loop):
            watch = opened(loop, b"/factstore/w", b"", revision)
            watch._forget_token = lambda: forgotten.append(None)
            assert end_of(watch)
            assert forgotten
            tokens[0] = client._token
            (events,) = read(opened(loop, b"/factstore/w", b"", revision), 1)
            assert events[0].item.value == b"v"


def test_a_lost_connection_ends_its_calls_and_another_is_opened_at_once(
    etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_calls, "RETRY_SECONDS", 10 * PATIENCE)  # no second attempt at a member
    relays = [Relay(etcd.endpoint), Relay(etcd.endpoint)]
    endpoints = [each.endpoint for each in relays]
    lost: list[str] = []

    def prefer_next(url: str) -> None:
        lost.append(url)
        endpoints.reverse()

    calls = LoopCalls(lambda: endpoints[0], Credentials(), lambda: "", gone=prefer_next)
    with closing(calls):
        assert isinstance(result(connected(calls, RANGE, QUESTION)), bytes)
        found = connected(calls, RANGE, QUESTION)
        relays[0].cut()
        result(found)  # it may have been answered before
        assert isinstance(result(connected(calls, RANGE, QUESTION)), bytes)
        assert lost == [relays[0].endpoint]
    relays[1].cut()


def test_a_server_that_does_not_answer_counts_as_lost() -> None:
    with closing(gevent.socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(LoopCalls(lambda: url, Credentials(), lambda: "")) as calls:
            late, found = (connected(calls, RANGE, QUESTION, seconds) for seconds in (0.3, 60))
            assert result(late) is Failure.LOST
            assert found == []
            with gevent.Timeout(SILENT_SECONDS * 10):
                assert result(found) is Failure.LOST
            assert not calls.call(RANGE, [QUESTION], lambda got: None, 60)


def test_time_in_which_the_process_stood_still_is_no_silence_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    with closing(gevent.socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with closing(LoopCalls(lambda: url, Credentials(), lambda: "")) as calls:
            monkeypatch.setattr(loop_calls, "time", Mock(monotonic=lambda: now))
            calls._connect()
            found = connected(calls, RANGE, QUESTION, 3600)
            for _ in range(2):
                now += 2 * SILENT_SECONDS
                calls._expire()
                assert found == []
            for _ in range(10):
                now += SILENT_SECONDS / 9
                calls._expire()
            assert found == [Failure.LOST]


def test_a_ping_of_the_server_is_answered_although_nothing_is_being_called() -> None:
    frames: list[tuple[int, int, bytes]] = []

    def serve(sock: gevent.socket.socket, address: object) -> None:
        with sock, sock.makefile("rb") as received:
            received.read(len(PREFACE))
            sock.sendall(frame(SETTINGS, 0, 0, b"") + frame(PING, 0, 0, b"are you?"))
            while head := received.read(9):
                size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                frames.append((kind, flags, received.read(size)))

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with closing(LoopCalls(lambda: url, Credentials(), lambda: "")) as calls:
        assert not calls.call(RANGE, [QUESTION], lambda result: None, PATIENCE), "it connects first"
        with gevent.Timeout(PATIENCE):
            while (PING, ACK, b"are you?") not in frames:
                gevent.sleep(0.01)
    server.stop()
