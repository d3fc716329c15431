"""One HTTP/2 connection for small gRPC calls: frames in, frames out, without any input or output.

It knows as much of HTTP/2 as calls with one request and one short response need.  Headers are not
decoded: a call that ends with a complete message has succeeded, because a gRPC server sends none with
an error.  The caller repeats other calls with gRPC itself, which also finds out what is wrong, if the
call may be repeated or the server has certainly not carried it out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum

LOG = logging.getLogger(__name__)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 1 << 20
"""The bytes that the server may send before they are acknowledged, of a call and of all calls."""

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_CONTINUATION = 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _MAX_STREAMS, _INITIAL_WINDOW = 1, 2, 3, 4
_FRAME_BYTES = 16_384
_LAST_STREAM = 2**31 - 1
_NO_WINDOW = 65_535  # the window of a server that has announced none

# The name grpc-status as servers encode it, in front of the length of a number and its digits.
_STATUS_NAME = bytes.fromhex("00889acac8b21234da8f")
_NOT_CARRIED_OUT = (b"3", b"5", b"7", b"8", b"9", b"16")
"""The statuses with which etcd refuses a request: its arguments, a lease, permissions, or no space."""
_REFUSED_STREAM, _CANCEL = 7, 8


class Failure(Enum):
    """The outcome of a call without a response."""

    REFUSED = 0
    """It was not carried out."""
    LOST = 1
    """It may have been carried out."""


Ended = Callable[[bytes | Failure], object]
"""Receives the message that a call returns, or its failure."""


class ProtocolError(Exception):
    """The server does not speak HTTP/2, or not as expected; the connection cannot be used."""


class Http2Connection:
    """The client's side of a connection.

    :param authority: host and port of the server.
    """

    def __init__(self, scheme: str, authority: str) -> None:
        self._scheme, self._authority = scheme, authority
        self._calls: dict[int, _Call] = {}
        self._blocks: dict[tuple[str, str], bytes] = {}
        self._received = b""
        self._next_stream = 1
        self._room = self._stream_room = _NO_WINDOW
        self._max_streams = _LAST_STREAM
        self._unacknowledged = 0
        self._leaving = False
        settings = _setting(_HEADER_TABLE_SIZE, 0) + _setting(_ENABLE_PUSH, 0)
        settings += _setting(_INITIAL_WINDOW, WINDOW)
        self.to_send: list[bytes] = [
            PREFACE,
            _frame(_SETTINGS, 0, 0, settings),
            _frame(_WINDOW_UPDATE, 0, 0, (WINDOW - _NO_WINDOW).to_bytes(4)),
        ]
        """Bytes for the server, in order; the owner takes them."""

    @property
    def busy(self) -> bool:
        """True if calls are running."""
        return bool(self._calls)

    @property
    def ended(self) -> bool:
        """True if the server has said that it closes the connection, and no call is running."""
        return self._leaving and not self._calls

    def call(
        self, method: str, message: bytes, ended: Ended, until: float, token: str = ""
    ) -> bool:
        """Start a call; return False if that is not possible at this moment.

        :param until: the time at which it is given up.
        :param token: of etcd, or empty.
        """
        size, stream = len(message) + 5, self._next_stream
        if self._leaving or len(self._calls) >= self._max_streams:
            return False
        if size > self._room or size > self._stream_room:
            return False
        if stream + 2 > _LAST_STREAM:
            self._leaving = True
        block = self._blocks.get((method, token))
        if block is None:
            if self._blocks:
                self._blocks = {key: kept for key, kept in self._blocks.items() if key[1] == token}
            block = self._blocks[method, token] = self._header_block(method, token)
        self._calls[stream] = _Call(ended, until)
        self._next_stream = stream + 2
        self._room -= size
        self.to_send += (_frame_head(len(block), _HEADERS, _END_HEADERS, stream), block)
        data = b"\0%b%b" % (len(message).to_bytes(4), message)
        for at in range(0, size, _FRAME_BYTES):
            piece = data[at : at + _FRAME_BYTES]
            flags = _END_STREAM if at + _FRAME_BYTES >= size else 0
            self.to_send += (_frame_head(len(piece), _DATA, flags, stream), piece)
        return True

    def give_up(self, now: float) -> None:
        """End the calls whose time is over."""
        for stream in [number for number, call in self._calls.items() if call.until <= now]:
            self.to_send.append(_frame(_RST_STREAM, 0, stream, _CANCEL.to_bytes(4)))
            self._calls.pop(stream).end(Failure.LOST)

    def receive(self, data: bytes) -> None:
        """Take bytes of the server, and end the calls whose responses are complete.

        :raises ProtocolError: the connection cannot be used any more.
        """
        data, at = self._received + data if self._received else data, 0
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3])
            if size > _FRAME_BYTES:
                raise ProtocolError(f"a frame of {size} bytes")
            end = at + 9 + size
            if end > len(data):
                break
            stream = int.from_bytes(data[at + 5 : at + 9]) & _LAST_STREAM
            self._frame(data[at + 3], data[at + 4], stream, data[at + 9 : end])
            at = end
        self._received = data[at:]

    def fail(self) -> None:
        """End all running calls, because the connection is lost."""
        self._leaving = True
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.end(Failure.LOST)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._data(flags, stream, payload)
        elif kind == _HEADERS:
            if flags & _END_STREAM:
                self._end(stream, payload)
        elif kind == _RST_STREAM:
            call = self._calls.pop(stream, None)
            refused = payload == _REFUSED_STREAM.to_bytes(4)
            if call is not None:
                call.end(Failure.REFUSED if refused else Failure.LOST)
        elif kind == _SETTINGS:
            if not flags & _ACK:
                self._set(payload)
        elif kind == _PING:
            if not flags & _ACK:
                self.to_send.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self._leaving = True
            last = int.from_bytes(payload[:4]) & _LAST_STREAM
            for number in [number for number in self._calls if number > last]:
                self._calls.pop(number).end(Failure.REFUSED)
        elif kind == _WINDOW_UPDATE:
            if stream == 0:
                self._room += int.from_bytes(payload) & _LAST_STREAM
        elif kind != _CONTINUATION:  # which ends a header block that is not decoded
            raise ProtocolError(f"a frame of type {kind}")

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._unacknowledged += len(payload)
        if self._unacknowledged > WINDOW // 2:
            window = self._unacknowledged.to_bytes(4)
            self.to_send.append(_frame(_WINDOW_UPDATE, 0, 0, window))
            self._unacknowledged = 0
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        call = self._calls.get(stream)
        if call is not None:
            call.data += payload
            if flags & _END_STREAM:
                self._end(stream, b"")

    def _end(self, stream: int, headers: bytes) -> None:
        call = self._calls.pop(stream, None)
        if call is not None:
            data = call.data
            whole = len(data) >= 5 and data[0] == 0 and int.from_bytes(data[1:5]) == len(data) - 5
            call.end(data[5:] if whole else _failure(headers))

    def _set(self, payload: bytes) -> None:
        for at in range(0, len(payload) - 5, 6):
            name, value = (
                int.from_bytes(payload[at : at + 2]),
                int.from_bytes(payload[at + 2 : at + 6]),
            )
            if name == _MAX_STREAMS:
                self._max_streams = value
            elif name == _INITIAL_WINDOW:
                self._stream_room = value
        self.to_send.append(_frame(_SETTINGS, _ACK, 0, b""))

    def _header_block(self, method: str, token: str) -> bytes:
        """Return the headers of a call in HPACK, without entries of the dynamic table."""
        fields = [
            b"\x83",  # :method: POST
            b"\x87" if self._scheme == "https" else b"\x86",
            b"\x04" + _text(method),  # :path
            b"\x01" + _text(self._authority),
            b"\x0f\x10" + _text("application/grpc"),  # content-type
            b"\x00" + _text("te") + _text("trailers"),
        ]
        if token:
            fields.append(b"\x10" + _text("token") + _text(token))  # never indexed
        return b"".join(fields)


class _Call:
    """A running call."""

    __slots__ = ("_ended", "data", "until")

    def __init__(self, ended: Ended, until: float) -> None:
        self._ended = ended
        self.until = until
        self.data = b""

    def end(self, result: bytes | Failure) -> None:
        """Pass the result on; a fault in what receives it must not strand the other calls."""
        try:
            self._ended(result)
        except Exception:
            LOG.exception("the result of a call to etcd was not processed")


def _failure(headers: bytes) -> Failure:
    """Return the failure that the headers at the end of a call state."""
    _, found, rest = headers.partition(_STATUS_NAME)
    status = rest[1 : 1 + rest[0]] if found and rest else b""
    return Failure.REFUSED if status in _NOT_CARRIED_OUT else Failure.LOST


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _frame_head(len(payload), kind, flags, stream) + payload


def _frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return (size << 48 | kind << 40 | flags << 32 | stream).to_bytes(9)


def _setting(name: int, value: int) -> bytes:
    return name.to_bytes(2) + value.to_bytes(4)


def _text(text: str) -> bytes:
    """Return a string literal of HPACK, without compression."""
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, length = len(data) - 127, [127]
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes([*length, rest]) + data
