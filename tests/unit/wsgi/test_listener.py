"""Streams that listeners send: the same bytes as from a greenlet of their own, whatever clients do."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace

import gevent
import gevent.event
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factstore.core.model.cursor import Cursor
from factstore.core.model.permissions import Permissions
from factstore.core.services.debounce import Debounce
from factstore.core.services.watch_filter import Filter
from tests.unit.core.factories import EPOCH
from tests.unit.wsgi.streaming_worker import ALL, NOBODY, PATIENCE, StreamingWorker

FILTERS = (
    ALL,
    Filter(prefixes=("a",)),
    Filter(types=frozenset({"fact.delete"})),
    Filter(permissions=Permissions("reader", "m1").reach),
    Filter(many=True),
    Filter(prefixes=("a",), many=True),
)
PATHS = ("a", "a/b", "c", "configs/m1/x", "configs/m2/x")
MANY = 150  # streams, which need several slices


@pytest.fixture
def worker() -> Iterator[StreamingWorker]:
    made = StreamingWorker()
    yield made
    made.close()


actions = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PATHS), st.sampled_from((1, 900, 5000))),
        st.tuples(st.just("elsewhere"), st.sampled_from(PATHS), st.integers(0, 1)),
        st.tuples(st.just("large"), st.just(""), st.just(0)),
        st.tuples(st.just("connect"), st.sampled_from(FILTERS), st.integers(0, 3)),
        st.tuples(st.just("read"), st.integers(0, 9), st.sampled_from((1, 700, 1 << 20))),
        st.tuples(st.just("run"), st.integers(0, 2), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions)
def test_each_stream_gets_the_bytes_that_a_greenlet_would_send(
    actions: list[tuple[str, object, int]],
) -> None:
    worker, wanted = StreamingWorker(), []
    try:
        for action, what, number in [("connect", ALL, 0), *actions]:
            match action, what:
                case "put", str(path):
                    worker.put(path, number)
                case "elsewhere", str(path):
                    worker.put(path, 900, ("s2", "s1")[: number + 1])
                case "large", _:
                    worker.put_large()
                case "connect", Filter() as chosen:
                    since = Cursor(EPOCH, max(1, worker.now.revision - number))
                    worker.connect(since, chosen)
                    wanted.append(chosen)
                case "read", int(client):
                    worker.clients[client % len(worker.clients)].read(number)
                case "run", int(turns):
                    for _ in range(turns):
                        gevent.sleep(0)
        clients = list(zip(worker.clients, wanted, strict=True))
        complete = [worker.expected(client, chosen) for client, chosen in clients]
        worker.until(
            lambda: all(
                len(client.data) >= len(expected)
                for client, expected in zip(worker.clients, complete, strict=True)
            ),
            reading=True,
        )
        worker.until(lambda: worker.listening() == len(clients), reading=True)
        worker.until(lambda: [client.body for client in worker.clients] == complete, reading=True)
        worker.put("a")  # all are still at the same position
        last = [worker.expected(client, chosen) for client, chosen in clients]
        worker.until(lambda: [client.body for client in worker.clients] == last, reading=True)
    finally:
        worker.close()


def many(worker: StreamingWorker, **options: object) -> None:
    for _ in range(MANY):
        worker.connect(**options)  # type: ignore[arg-type]
    worker.until(lambda: worker.listening() == MANY)


def test_streams_that_want_the_same_share_a_listener(worker: StreamingWorker) -> None:
    many(worker)
    by_grant = [replace(ALL, permissions=Permissions("reader", None, None, g).reach) for g in "ab"]
    others = [worker.connect(wanted=each) for each in by_grant]
    worker.until(lambda: worker.listening() == MANY + 2)
    assert len({client.stream.listener for client in worker.clients}) == 2
    assert others[0].stream.listener is others[1].stream.listener


def test_a_client_that_does_not_read_costs_only_its_own_stream(worker: StreamingWorker) -> None:
    slow, fast = worker.connect(), worker.connect()
    worker.until(lambda: worker.listening() == 2)
    for _ in range(40):
        worker.put("a", 5000)
        worker.until(lambda: (fast.read(), fast.body == worker.expected(fast))[1])
    assert slow.stream.listener is None
    assert fast.stream.listener is not None
    worker.until(lambda: slow.body == fast.body, reading=True)
    worker.until(lambda: slow.stream.listener is fast.stream.listener)


def test_a_slow_client_gets_the_events_that_happen_while_it_is_sent_others(
    worker: StreamingWorker,
) -> None:
    slow, fast = worker.connect(), worker.connect()
    worker.until(lambda: worker.listening() == 2)
    for number in range(60):
        if number % 3 == 0:
            worker.put("a", 5000)
        slow.read(3000)
        worker.until(lambda: (fast.read(), fast.body == worker.expected(fast))[1])
    worker.until(lambda: worker.listening() == 2, reading=True)
    worker.until(lambda: slow.body == fast.body, reading=True)


def test_a_stream_pings_and_gets_bookmarks(worker: StreamingWorker) -> None:
    early = worker.connect()
    worker.until(lambda: worker.listening() == 1)
    worker.step()
    worker.pass_by(10)
    late = worker.connect()
    worker.until(lambda: worker.listening() == 2)
    worker.pass_by(5)
    for client in (early, late):
        worker.until(lambda client=client: client.body.endswith(b": ping\n\n"), reading=True)  # type: ignore[misc]
        assert client.frames == [
            f'id: {worker.now}\nevent: bookmark\ndata: {{"cursor":"{worker.now}"}}'.encode()
        ]


def test_held_events_reach_only_the_streams_that_began_before(worker: StreamingWorker) -> None:
    settle = Debounce(1.0, 10.0)
    early = worker.connect(settle=settle)
    worker.until(lambda: worker.listening() == 1)
    worker.put("a")
    late = worker.connect(settle=settle)
    worker.until(lambda: worker.listening() == 2)
    assert early.body == b""
    worker.put("c")
    worker.pass_by(1.5)
    worker.until(lambda: early.body and late.body, reading=True)
    assert early.body == worker.expected(early)
    assert late.body == worker.expected(late)
    assert late.body in early.body


def test_a_listener_ends_after_the_one_that_has_replaced_it(worker: StreamingWorker) -> None:
    settle = Debounce(1.0, 10.0)
    early = worker.connect(settle=settle)
    worker.until(lambda: worker.listening() == 1)
    worker.put("a")
    late = worker.connect(settle=settle)
    worker.until(lambda: worker.listening() == 2)
    replacement = late.stream.listener
    assert replacement is not None
    late.socket.close()
    worker.until(lambda: replacement.closed)
    worker.clients = [early]
    worker.delete_stack()
    worker.until(lambda: early.data.endswith(b"0\r\n\r\n"), reading=True)
    assert b"the stack was deleted" in early.frames[-1]


def test_all_streams_end_with_a_time_of_their_own_when_the_worker_stops(
    worker: StreamingWorker,
) -> None:
    many(worker)
    worker.hub.close()
    worker.until(lambda: all(client.ended for client in worker.clients), reading=True)
    assert all(client.data.endswith(b"\r\n0\r\n\r\n") for client in worker.clients)
    assert len({client.body for client in worker.clients}) > MANY / 2
    assert worker.released == MANY
    assert worker.served == []
    assert worker.connections.gauges()["connections"] == 0


def test_a_connection_can_be_used_again_after_its_stack_was_deleted(
    worker: StreamingWorker,
) -> None:
    many(worker)
    worker.connect(version=(1, 0))
    worker.until(lambda: worker.listening() == MANY + 1)
    worker.delete_stack()
    worker.until(lambda: worker.released == MANY + 1, reading=True)
    worker.until(lambda: len(worker.served) == MANY and worker.clients[-1].ended, reading=True)
    first, last = worker.clients[0], worker.clients[-1]
    assert [b"stack.delete" in each for each in first.frames] == [True, False]
    assert first.data.endswith(b"0\r\n\r\n")
    assert last.data.startswith(b"id: ")  # without chunks
    assert worker.connections.gauges()["connections"] == MANY


def test_a_slow_client_gets_the_end_of_its_stream_with_the_last_events(
    worker: StreamingWorker,
) -> None:
    client = worker.connect(settle=Debounce(1.0, 10.0))
    worker.until(lambda: worker.listening() == 1)
    for _ in range(3):
        worker.put("a", 5000)
    worker.delete_stack()  # which delivers them at once, and fills the socket's buffer
    worker.until(lambda: worker.released == 1, reading=True)
    worker.until(lambda: client.data.endswith(b"0\r\n\r\n"), reading=True)
    assert b"the stack was deleted" in client.frames[-1]


@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_hung_up_is_forgotten(worker: StreamingWorker, *, reset: bool) -> None:
    many(worker)
    for client in worker.clients[::2]:
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
    gone, worker.clients = worker.clients[::2], worker.clients[1::2]
    worker.put("a")
    worker.until(lambda: worker.released == len(gone), reading=True)
    assert worker.closed == {"hung_up": len(gone)}
    worker.until(lambda: all(c.body == worker.expected(c) for c in worker.clients), reading=True)
    assert worker.connections.gauges()["connections"] == len(worker.clients)


def test_a_client_that_closed_its_sending_side_still_gets_events(worker: StreamingWorker) -> None:
    client = worker.connect()
    client.socket.shutdown(socket.SHUT_WR)
    worker.until(lambda: client.stream.listener and b"ping" in client.body, reading=True)
    worker.put("a")
    worker.until(lambda: client.frames, reading=True)
    assert worker.closed == {}


def test_a_stream_ends_when_its_credential_ends(worker: StreamingWorker) -> None:
    valid = True
    kept = worker.connect()
    client = worker.connect(identity=replace(NOBODY, still_valid=lambda: valid))
    worker.until(lambda: worker.listening() == 2)
    worker.pass_by(50)
    worker.streams.check_credentials()
    assert worker.listening() == 2
    valid = False
    worker.pass_by(30)
    worker.streams.check_credentials()
    worker.pass_by(20)
    worker.streams.check_credentials()
    worker.until(lambda: client.frames and client.data.endswith(b"0\r\n\r\n"), reading=True)
    assert b"credential" in client.frames[-1]
    assert kept.stream.listener is not None


def test_a_stream_ends_whose_reader_was_slow_while_its_credential_was_checked(
    worker: StreamingWorker,
) -> None:
    answered = gevent.event.Event()
    client = worker.connect(
        identity=replace(NOBODY, still_valid=lambda: not answered.wait(PATIENCE))
    )
    worker.until(lambda: worker.listening() == 1)
    worker.pass_by(50)
    worker.streams.check_credentials()
    for _ in range(40):  # more than fits into the socket
        worker.put("a", 5000)
    worker.until(lambda: worker.listening() == 0)
    answered.set()
    gevent.sleep(0)
    worker.until(lambda: client.data.endswith(b"0\r\n\r\n"), reading=True)
    assert b"credential" in client.frames[-1]


def test_a_stream_without_history_says_goodbye(worker: StreamingWorker) -> None:
    client = worker.connect()
    worker.until(lambda: worker.listening() == 1)
    worker.hub.reset(Cursor(worker.now.epoch, worker.now.revision + 5))
    worker.until(lambda: client.frames, reading=True)
    assert b"no further history" in client.frames[-1]


def test_a_stream_continues_if_the_store_was_read_again_and_has_its_history(
    worker: StreamingWorker,
) -> None:
    client = worker.connect()
    worker.until(lambda: worker.listening() == 1)
    worker.hub.reset(worker.now)
    worker.put("a")
    worker.until(lambda: client.frames, reading=True)
    assert client.body == worker.expected(client)


def test_a_large_event_is_sent_in_parts_by_each_stream(worker: StreamingWorker) -> None:
    clients = [worker.connect() for _ in range(3)]
    worker.until(lambda: worker.listening() == 3)
    worker.put_large()
    worker.put("after")
    worker.until(lambda: worker.listening() == 3, reading=True)
    worker.until(lambda: all(len(c.body) >= len(worker.expected(c)) for c in clients), reading=True)
    assert all(client.body == worker.expected(client) for client in clients)


def test_a_failure_cuts_the_streams_of_one_stack_and_is_logged(
    worker: StreamingWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    many(worker)
    monkeypatch.setattr("factstore.wsgi.server.listener.frame_pieces", None)
    worker.put("a")
    worker.until(lambda: all(client.ended for client in worker.clients), reading=True)
    assert worker.released == MANY
    assert "cut short" in caplog.text
