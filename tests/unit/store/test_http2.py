"""Small calls over HTTP/2: what is sent, and which bytes of a server end a call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.store.client.http2 import WINDOW, Http2Connection
from factstore.store.client.http2_calls import Ended, Failure, ProtocolError
from factstore.store.client.http2_frames import PREFACE

DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, UPDATE = 0, 1, 3, 4, 5, 6, 7, 8
END = 1
METHOD = "/etcdserverpb.KV/Range"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def message(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(4) + data


def response(stream: int, data: bytes) -> bytes:
    """Return the frames of a successful call, as etcd sends them."""
    return (
        frame(HEADERS, 4, stream, b"\x88")
        + frame(DATA, 0, stream, message(data))
        + frame(HEADERS, 4 | END, stream, b"\x88")
    )


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        size = int.from_bytes(data[:3])
        found.append((data[3], data[4], int.from_bytes(data[5:9]), data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def sent(connection: Http2Connection) -> bytes:
    data = b"".join(connection.to_send)
    connection.to_send.clear()
    return data


@pytest.fixture
def connection() -> Http2Connection:
    made = Http2Connection("http", "localhost:2379")
    assert sent(made).startswith(PREFACE)
    return made


@pytest.fixture
def ended() -> list[bytes | Failure]:
    return []


def one(ended: Callable[[bytes | Failure], object]) -> Ended:
    """Return a receiver of the only message that a call returns, or of its failure."""

    def receive(found: list[bytes] | Failure) -> None:
        if not isinstance(found, Failure):
            (message,) = found
            ended(message)
        else:
            ended(found)

    return receive


def call(connection: Http2Connection, ended: list[bytes | Failure], data: bytes = b"x") -> bool:
    return connection.call(METHOD, [data], one(ended.append), until=1.0)


def test_a_call_is_a_header_block_and_a_message(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    assert connection.call(METHOD, [b"question"], one(ended.append), 1.0, token="t" * 200)
    (kind, flags, stream, block), body = frames(sent(connection))
    assert (kind, flags, stream) == (HEADERS, 4, 1)
    # :method POST, :scheme http, :path, :authority
    assert block.startswith(b"\x83\x86\x04\x16/etcdserverpb.KV/Range\x01\x0elocalhost:2379")
    assert block.endswith(b"\x10\x05token\x7f\x49" + b"t" * 200), "of 127 and 73 bytes"
    assert body == (DATA, END, 1, message(b"question"))


@given(st.data())
def test_responses_in_any_pieces_end_their_calls(data: st.DataObject) -> None:
    connection, ended = Http2Connection("http", "e:1"), dict[int, bytes | Failure]()
    for number in range(3):
        assert connection.call(
            METHOD, [b""], one(lambda got, n=number: ended.update({n: got})), 1.0
        )  # type: ignore[misc]
    stream = b"".join([response(5, b"c"), frame(SETTINGS, 0, 0), response(1, b"a" * 300)])
    stream += response(3, b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        connection.receive(stream[start:end])
    assert ended == {0: b"a" * 300, 1: b"", 2: b"c"}
    assert not connection.busy


@pytest.mark.parametrize("answered", [0, 1, 2, 3, 4])
def test_a_call_with_several_messages_needs_a_response_to_each(
    connection: Http2Connection, answered: int
) -> None:
    found: list[list[bytes] | Failure] = []
    assert connection.call(METHOD, [b"1", b"", b"3"], found.append, until=1.0)
    _, body = frames(sent(connection))
    assert body == (DATA, END, 1, message(b"1") + message(b"") + message(b"3"))
    for number in range(answered):
        connection.receive(frame(DATA, 0, 1, message(b"r%d" % number)))
    assert found == []
    connection.receive(frame(HEADERS, 4 | END, 1, b"\x88"))
    assert found == [[b"r0", b"r1", b"r2"] if answered == 3 else Failure.LOST]


STATUS = bytes.fromhex("00889acac8b21234da8f")
"""The name of the header grpc-status, as etcd sends it."""


def refusal(status: bytes) -> bytes:
    block = b"\x88\x0f\x10\x81x" + STATUS + bytes([len(status)]) + status + b"\0\x81x\x81y"
    return frame(HEADERS, 4 | END, 1, block)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        pytest.param(frame(HEADERS, 4 | END, 1, b"\x88"), Failure.LOST, id="no message"),
        pytest.param(frame(RESET, 0, 1, b"\0\0\0\x08"), Failure.LOST, id="reset"),
        pytest.param(frame(RESET, 0, 1, b"\0\0\0\x07"), Failure.REFUSED, id="refused stream"),
        pytest.param(
            frame(DATA, 0, 1, message(b"abc")[:-1]) + frame(HEADERS, 4 | END, 1),
            Failure.LOST,
            id="cut",
        ),
        pytest.param(
            frame(DATA, 0, 1, message(b"a") * 2) + frame(HEADERS, 4 | END, 1),
            Failure.LOST,
            id="two messages",
        ),
        pytest.param(frame(DATA, END, 1, b"\1" + message(b"a")[1:]), Failure.LOST, id="compressed"),
        pytest.param(frame(GOAWAY, 0, 0, bytes(8)), Failure.REFUSED, id="never processed"),
        *(
            pytest.param(refusal(status), Failure.REFUSED, id=f"status {status.decode()}")
            for status in (b"3", b"7", b"8", b"9", b"15", b"16")
        ),
        pytest.param(refusal(b"5"), Failure.NO_LEASE, id="status 5"),
        *(
            pytest.param(refusal(status), Failure.LOST, id=f"status {status.decode()}")
            for status in (b"1", b"2", b"4", b"13", b"14", b"", b"99")
        ),
        pytest.param(frame(HEADERS, 4 | END, 1, STATUS), Failure.LOST, id="no status"),
    ],
)
def test_a_call_without_a_whole_message_fails(
    connection: Http2Connection,
    ended: list[bytes | Failure],
    answer: bytes,
    failure: Failure,
) -> None:
    assert call(connection, ended)
    connection.receive(answer)
    assert ended == [failure]


def test_the_name_of_the_status_is_that_of_hpack() -> None:
    hpack = pytest.importorskip("hpack")
    (header,) = hpack.Decoder().decode(STATUS + b"\x015")
    assert header == ("grpc-status", "5")


def test_a_server_that_leaves_answers_what_it_has_begun(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    assert call(connection, ended)
    assert call(connection, ended)
    connection.receive(frame(GOAWAY, 0, 0, b"\0\0\0\x01" + bytes(4)))
    assert ended == [Failure.REFUSED], "of the second call"
    assert not connection.ended
    assert not call(connection, ended)
    connection.receive(response(1, b"a"))
    assert ended == [Failure.REFUSED, b"a"]
    assert connection.ended


def test_a_lost_connection_ends_all_calls(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    def fail(result: list[bytes] | Failure) -> None:
        raise RuntimeError("a fault of one caller")

    assert connection.call(METHOD, [b"x"], fail, until=1.0)
    assert call(connection, ended)
    connection.fail()
    assert ended == [Failure.LOST]
    assert not call(connection, ended)


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", frame(PUSH, 4, 2, bytes(4)), b"\xff" * 9]
)
def test_bytes_that_are_not_expected_end_the_connection(
    connection: Http2Connection, data: bytes
) -> None:
    with pytest.raises(ProtocolError):
        connection.receive(data)


def test_settings_and_pings_are_acknowledged(connection: Http2Connection) -> None:
    connection.receive(frame(PING, 0, 0, b"12345678") + frame(SETTINGS, 0, 0))
    assert frames(sent(connection)) == [(SETTINGS, 1, 0, b"")], "the owner answers the ping"
    assert frames(b"".join(connection.pongs)) == [(PING, 1, 0, b"12345678")]
    connection.pongs.clear()
    connection.receive(frame(PING, 1, 0, b"12345678") + frame(SETTINGS, 1, 0))
    assert sent(connection) == b""
    assert connection.pongs == []


def test_pings_are_answered_at_once_while_a_message_waits_for_room(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    assert call(connection, ended, b"x" * 70_000)
    sent(connection)
    connection.receive(frame(PING, 0, 0, b"measured"))
    assert frames(sent(connection)) == [(PING, 1, 0, b"measured")]
    connection.receive(update(0, 10_000) + update(1, 10_000) + frame(PING, 0, 0, b"is ready"))
    assert [kind for kind, *_ in frames(sent(connection))] == [DATA], "the rest of the message"
    assert frames(b"".join(connection.pongs)) == [(PING, 1, 0, b"is ready")]


def test_the_limits_of_the_server_are_kept(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    connection.receive(frame(SETTINGS, 0, 0, b"\0\3" + (2).to_bytes(4)))
    assert [call(connection, ended) for _ in range(3)] == [True, True, False]
    connection.receive(response(1, b""))
    assert call(connection, ended)


def update(stream: int, size: int) -> bytes:
    return frame(UPDATE, 0, stream, size.to_bytes(4))


@given(st.data())
def test_no_more_is_sent_than_the_server_has_room_for(data: st.DataObject) -> None:
    connection, ended = Http2Connection("http", "e:1"), list[bytes | Failure]()
    size = data.draw(st.integers(0, 70_000))
    connection.receive(frame(SETTINGS, 0, 0, b"\0\4" + size.to_bytes(4)))
    room, rooms, got = 65_535, dict[int, int](), dict[int, bytes]()
    texts = data.draw(st.lists(st.integers(0, 100_000), min_size=1, max_size=4))
    whole = {2 * n + 1: message(bytes([n]) * length) for n, length in enumerate(texts)}
    for number, length in enumerate(texts):
        assert call(connection, ended, bytes([number]) * length)
    for _ in range(1000):
        for kind, flags, stream, payload in frames(sent(connection).removeprefix(PREFACE)):
            if kind == HEADERS:
                rooms[stream], got[stream] = size, b""
            elif kind == DATA:
                room, rooms[stream] = room - len(payload), rooms[stream] - len(payload)
                assert room >= 0
                assert rooms[stream] >= 0
                got[stream] += payload
                assert bool(flags & END) == (got[stream] == whole[stream])
        if got == whole:
            break
        step = data.draw(st.integers(10_000, 100_000))
        unfinished = [stream for stream in whole if got[stream] != whole[stream]]
        for stream in [0, *unfinished]:
            connection.receive(update(stream, step))
        room += step
        rooms.update({stream: rooms[stream] + step for stream in unfinished})
    assert got == whole


def test_what_the_server_has_no_room_for_is_dropped_with_its_call(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    large = b"y" * 100_000
    assert all(call(connection, ended, large) for _ in range(3))
    connection.receive(refusal(b"8") + frame(RESET, 0, 3, b"\0\0\0\7"))
    assert ended == [Failure.REFUSED, Failure.REFUSED]
    assert frames(sent(connection))[-1] == (RESET, 0, 1, b"\0\0\0\x08")
    connection.receive(update(0, 1 << 20) + update(1, 1 << 20) + update(5, 1 << 20))
    found = frames(sent(connection))
    assert {stream for _, _, stream, _ in found} == {5}
    assert sum(len(payload) for *_, payload in found) == 100_005
    while call(connection, ended, large):
        pass  # until too much waits


def test_what_was_received_is_acknowledged_before_the_window_is_used(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    updates = 0
    for number in range(200):
        assert call(connection, ended)
        connection.receive(response(2 * number + 1, b"z" * 10_000))
        for kind, _, _, payload in frames(sent(connection)):
            updates += int.from_bytes(payload) if kind == UPDATE else 0
    assert updates > 200 * 10_000 - WINDOW
    assert set(ended) == {b"z" * 10_000}


def test_a_call_that_takes_too_long_is_cancelled(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    assert connection.call(METHOD, [b"x"], one(ended.append), until=1.0)
    assert connection.call(METHOD, [b"x"], one(ended.append), until=9.0)
    sent(connection)
    connection.give_up(1.0)
    assert ended == [Failure.LOST]
    assert frames(sent(connection)) == [(RESET, 0, 1, b"\0\0\0\x08")]
    connection.receive(response(1, b"late") + response(3, b"b"))
    assert ended == [Failure.LOST, b"b"]


def test_a_large_message_is_sent_in_several_frames(
    connection: Http2Connection, ended: list[bytes | Failure]
) -> None:
    data = bytes(range(250)) * 200
    assert call(connection, ended, data)
    _, *body = frames(sent(connection))
    assert [(len(payload), flags) for _, flags, _, payload in body] == [
        (16_384, 0),
        (16_384, 0),
        (16_384, 0),
        (50_005 - 3 * 16_384, END),
    ]
    assert b"".join(payload for _, _, _, payload in body) == message(data)
