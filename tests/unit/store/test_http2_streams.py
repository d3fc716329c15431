"""Streams over HTTP/2: their messages, their ends, and what is acknowledged to the server."""

from __future__ import annotations

import pytest

from factstore.store.client.http2 import UNREAD, WINDOW, Http2Connection
from factstore.store.client.http2_calls import LONG_BYTES, ProtocolError
from tests.unit.store.test_http2 import (
    DATA,
    END,
    GOAWAY,
    HEADERS,
    RESET,
    SETTINGS,
    UPDATE,
    connection,  # noqa: F401
    frame,
    frames,
    message,
    sent,
    update,
)


@pytest.fixture
def received() -> list[bytes | None]:
    return []


def test_a_stream_receives_messages_until_it_ends(
    connection: Http2Connection,  # noqa: F811
    received: list[bytes | None],
) -> None:
    number = connection.open("/w", b"create", received.append, "t", [("hasleader", "true")])
    assert number == 1
    (kind, flags, _, block), body = frames(sent(connection))
    assert (kind, flags) == (HEADERS, 4)
    assert b"\0\x09hasleader\x04true" in block
    assert body == (DATA, 0, 1, message(b"create")), "the requests do not end"
    assert connection.streaming
    assert not connection.busy
    data = message(b"a") + message(b"") + message(b"b" * 20_000)
    connection.receive(frame(HEADERS, 4, 1, b"\x88"))
    for at in range(0, len(data), 7_000):
        connection.receive(frame(DATA, 0, 1, data[at : at + 7_000]))
    assert received == [b"a", b"", b"b" * 20_000]
    long = b"c" * (LONG_BYTES + 1)
    data = 2 * message(long) + message(b"d")
    for at in range(0, len(data), 16_000):
        connection.receive(frame(DATA, 0, 1, data[at : at + 16_000]))
    assert received[3:] == [long, long, b"d"]
    for data in (message(long), message(b"e")):  # the long message ends with a frame
        for at in range(0, len(data), 16_000):
            connection.receive(frame(DATA, 0, 1, data[at : at + 16_000]))
    assert received[6:] == [long, b"e"]
    connection.receive(frame(HEADERS, 4 | END, 1))
    assert received[8:] == [None]
    assert not connection.streaming


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(frame(RESET, 0, 1, b"\0\0\0\x08"), id="reset"),
        pytest.param(frame(GOAWAY, 0, 0, bytes(8)), id="never processed"),
        pytest.param(frame(DATA, END, 1, b""), id="end"),
        pytest.param(None, id="lost"),
    ],
)
def test_a_stream_ends_with_its_connection_and_by_its_server(
    connection: Http2Connection,  # noqa: F811
    received: list[bytes | None],
    end: bytes | None,
) -> None:
    assert connection.open("/w", b"", received.append)
    if end is None:
        connection.fail()
    else:
        connection.receive(end)
    assert received == [None]


def test_a_server_that_leaves_does_not_wait_for_streams(
    connection: Http2Connection,  # noqa: F811
    received: list[bytes | None],
) -> None:
    assert connection.open("/w", b"", received.append)
    connection.receive(frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4)))
    assert connection.ended
    assert received == []
    assert connection.open("/w", b"", received.append) is None


def test_a_stream_is_acknowledged_as_long_as_its_owner_takes_the_messages(
    connection: Http2Connection,  # noqa: F811
    received: list[bytes | None],
) -> None:
    number = connection.open("/w", b"", received.append)
    assert number is not None
    sent(connection)

    def acknowledged() -> int:
        found = frames(sent(connection))
        return sum(int.from_bytes(data) for kind, _, of, data in found if (kind, of) == (UPDATE, 1))

    piece = b"z" * 16_000
    total, window = 0, WINDOW
    while window >= len(piece) + 5 and total < 10 * UNREAD:
        connection.receive(frame(DATA, 0, 1, message(piece)))
        total += len(piece) + 5
        window += acknowledged() - len(piece) - 5
    assert UNREAD < total < UNREAD + 2 * WINDOW
    for taken in received:
        assert taken is not None
        connection.take(number, len(taken))
    window += acknowledged()
    assert window > WINDOW // 2
    # The bytes of a message that is not complete are acknowledged, however large it is.
    connection.receive(frame(DATA, 0, 1, b"\0" + (50 * WINDOW).to_bytes(4)))
    received.clear()
    for _ in range(3 * UNREAD // len(piece)):
        connection.receive(frame(DATA, 0, 1, piece))
        window += acknowledged() - len(piece)
    assert window > 0
    assert received == []


def test_a_stream_is_closed_by_its_owner(
    connection: Http2Connection,  # noqa: F811
    received: list[bytes | None],
) -> None:
    number = connection.open("/w", b"", received.append)
    assert number is not None
    sent(connection)
    connection.cancel(number)
    connection.cancel(number)
    connection.take(number, 5)
    assert frames(sent(connection)) == [(RESET, 0, 1, b"\0\0\0\x08")]
    connection.receive(frame(DATA, 0, 1, message(b"late")))
    assert received == [None]
    assert connection.open("/w", b"", received.append)
    with pytest.raises(ProtocolError):  # not understood, because no compression was offered
        connection.receive(frame(DATA, 0, 3, b"\1" + message(b"a")[1:]))


def test_a_smaller_window_is_made_up_for_before_more_is_sent(
    connection: Http2Connection,  # noqa: F811
    received: list[bytes | None],
) -> None:
    assert connection.open("/w", b"y" * 100_000, received.append)
    sent(connection)
    connection.receive(frame(SETTINGS, 0, 0, b"\0\4" + (5).to_bytes(4)) + update(0, 1 << 20))
    connection.receive(update(1, 65_530))
    assert [kind for kind, *_ in frames(sent(connection))] == [SETTINGS], "it is at zero"
    connection.receive(update(1, 7))
    assert frames(sent(connection)) == [(DATA, 0, 1, b"y" * 7)]
