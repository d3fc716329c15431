"""One HTTP/2 connection for gRPC calls: frames in, frames out, without any input or output.

It knows as much of HTTP/2 as calls with few requests need, whose response is a short message for each
of them, or a stream of messages.  Headers are not decoded: a call that ends with complete messages has
succeeded, because a gRPC server sends none with an error.  The caller repeats other calls with gRPC
itself, which also finds out what is wrong, if the call may be repeated or the server has certainly not
made it.
"""

from __future__ import annotations

from collections.abc import Sequence

from factstore.store.client.http2_calls import (
    Call,
    Ended,
    Failure,
    ProtocolError,
    Received,
    Stream,
)
from factstore.store.client.http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_STREAM,
    FRAME_BYTES,
    FRAME_HEAD,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW,
    LAST_STREAM,
    MAX_STREAMS,
    NO_WINDOW,
    PADDED,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    setting,
    settings_in,
)
from factstore.store.client.http2_headers import HeaderBlocks
from factstore.store.client.http2_sender import Sender

WINDOW = 1 << 20
"""The bytes that the server may send before they are acknowledged, of a call and of all calls."""

UNREAD = 4 * WINDOW
"""The bytes of messages of a stream that the owner has not taken, above which none are acknowledged."""

_REFUSED_STREAM, _CANCEL = 7, 8


class Http2Connection:
    """The client's side of a connection.

    :param authority: host and port of the server.
    """

    def __init__(self, scheme: str, authority: str) -> None:
        self._blocks = HeaderBlocks(scheme, authority)
        self._calls: dict[int, Call] = {}
        self._streams: dict[int, Stream] = {}
        self._received = b""
        self._next_stream = 1
        self._sender = Sender()
        self._max_streams = LAST_STREAM
        self._unacknowledged = 0
        self._leaving = False
        settings = setting(HEADER_TABLE_SIZE, 0) + setting(ENABLE_PUSH, 0)
        settings += setting(INITIAL_WINDOW, WINDOW)
        self.to_send = self._sender.to_send
        """Bytes for the server, in order; the owner takes them."""
        self.pongs = self._sender.pongs
        """Answers to pings, which the owner sends when it likes."""
        self.to_send += (
            PREFACE,
            frame(SETTINGS, 0, 0, settings),
            frame(WINDOW_UPDATE, 0, 0, (WINDOW - NO_WINDOW).to_bytes(4)),
        )

    @property
    def busy(self) -> bool:
        """True if calls with one response are running."""
        return bool(self._calls)

    @property
    def streaming(self) -> bool:
        """True if streams are open."""
        return bool(self._streams)

    @property
    def ended(self) -> bool:
        """True if the server has said that it closes the connection, and only streams are open."""
        return self._leaving and not self._calls

    def call(
        self, method: str, messages: Sequence[bytes], ended: Ended, until: float, token: str = ""
    ) -> bool:
        """Start a call; return False if that is not possible at this moment.

        :param until: the time at which it is given up.
        :param token: of etcd, or empty.
        """
        if not self._can_begin:
            return False
        block = self._blocks.known.get((method, token)) or self._blocks.make(method, token)
        number = self._begin(block, messages, ends=True)
        self._calls[number] = Call(ended, until, len(messages))
        return True

    def open(
        self,
        method: str,
        message: bytes,
        received: Received,
        token: str = "",
        metadata: Sequence[tuple[str, str]] = (),
    ) -> int | None:
        """Start a call that returns a stream; return its number, or None if that is not possible."""
        if not self._can_begin:
            return None
        block = self._blocks.with_metadata(method, token, metadata)
        number = self._begin(block, [message], ends=False)  # etcd ends a watch with its requests
        self._streams[number] = Stream(received)
        return number

    def take(self, number: int, size: int) -> None:
        """Record that the owner has taken a message of a stream."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.unread -= size
            self._acknowledge(number, stream)

    def cancel(self, number: int) -> None:
        """End a stream."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._reset(number)
            stream.received(None)

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        self.to_send.append(frame(PING, 0, 0, bytes(8)))

    @property
    def _can_begin(self) -> bool:
        running = len(self._calls) + len(self._streams)
        return not self._leaving and running < self._max_streams and not self._sender.crowded

    def _begin(self, block: bytes, messages: Sequence[bytes], *, ends: bool) -> int:
        """Send a request; return the number of its stream."""
        number = self._next_stream
        self._next_stream = number + 2
        if number + 2 > LAST_STREAM:
            self._leaving = True
        self._sender.begin(number, block, messages, ends=ends)
        return number

    def is_overdue(self, now: float) -> bool:
        """Return True if the time of a call is over."""
        return any(call.until <= now for call in self._calls.values())

    def give_up(self, now: float) -> int:
        """End the calls whose time is over, and return their number."""
        overdue = [number for number, call in self._calls.items() if call.until <= now]
        for stream in overdue:
            self._reset(stream)
            self._calls.pop(stream).end(Failure.LOST)
        return len(overdue)

    def _reset(self, number: int) -> None:
        """Let the server make no more of a call."""
        self._sender.cancel(number)
        self.to_send.append(frame(RST_STREAM, 0, number, _CANCEL.to_bytes(4)))

    def receive(self, data: bytes) -> None:
        """Take bytes of the server, and end the calls whose responses are complete.

        :raises ProtocolError: the connection cannot be used any more.
        """
        data, at = self._received + data if self._received else data, 0
        length = len(data)
        while length - at >= 9:
            high, low, kind, flags, stream = FRAME_HEAD.unpack_from(data, at)
            size = high << 8 | low
            if size > FRAME_BYTES:
                raise ProtocolError(f"a frame of {size} bytes")
            start, end = at + 9, at + 9 + size
            if end > length:
                break
            if kind != HEADERS or flags & END_STREAM:  # the first headers of a response say nothing
                self._frame(kind, flags, stream & LAST_STREAM, data[start:end])
            at = end
        self._received = data[at:]

    def fail(self) -> None:
        """End all running calls, because the connection is lost."""
        self._leaving = True
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.end(Failure.LOST)
        for number in list(self._streams):
            self._end_stream(number)

    def _end_stream(self, number: int) -> None:
        """Tell the owner of a stream that it has ended."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.received(None)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Take a whole frame."""
        if kind == DATA:
            self._data(flags, stream, payload)
        elif kind == HEADERS:
            self._end(stream, payload)
        elif kind == RST_STREAM:
            self._end_early(stream, refused=payload == _REFUSED_STREAM.to_bytes(4))
        elif kind == SETTINGS:
            if not flags & ACK:
                self._set(payload)
        elif kind == PING:
            if not flags & ACK:
                self._sender.pong(payload)
        elif kind == GOAWAY:
            self._leave(int.from_bytes(payload[:4]) & LAST_STREAM)
        elif kind == WINDOW_UPDATE:
            self._sender.widen(stream, int.from_bytes(payload) & LAST_STREAM)
        elif kind != CONTINUATION:  # which ends a header block that is not decoded
            raise ProtocolError(f"a frame of type {kind}")

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        """Take a part of a response, and let the server send more."""
        size = len(payload)
        self._unacknowledged += size
        if self._unacknowledged > WINDOW // 2:
            window = self._unacknowledged.to_bytes(4)
            self.to_send.append(frame(WINDOW_UPDATE, 0, 0, window))
            self._unacknowledged = 0
        if flags & PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        call = self._calls.get(stream)
        if call is not None:
            call.data += payload
            if flags & END_STREAM:
                self._end(stream, b"")
            return
        opened = self._streams.get(stream)
        if opened is not None:
            opened.unacknowledged += size
            opened.add(payload)
            self._acknowledge(stream, opened)
            if flags & END_STREAM:
                self._end_stream(stream)

    def _acknowledge(self, number: int, stream: Stream) -> None:
        """Let the server send more, unless its messages wait for the owner."""
        if stream.unacknowledged > WINDOW // 2 and stream.unread <= UNREAD:
            window = stream.unacknowledged.to_bytes(4)
            self.to_send.append(frame(WINDOW_UPDATE, 0, number, window))
            stream.unacknowledged = 0

    def _end(self, stream: int, headers: bytes) -> None:
        """End a call or a stream with its last headers, which may be empty."""
        call = self._calls.pop(stream, None)
        if call is not None:
            if self._sender.unsent(stream):
                self._reset(stream)
            call.complete(headers)
        self._end_stream(stream)

    def _end_early(self, number: int, *, refused: bool) -> None:
        """End a call or a stream that the server has ended before its response was complete."""
        call = self._calls.pop(number, None)
        self._sender.cancel(number)
        if call is not None:
            call.end(Failure.REFUSED if refused else Failure.LOST)
        self._end_stream(number)

    def _leave(self, last: int) -> None:
        """Begin no more calls, and end those that began after the last one that the server makes."""
        self._leaving = True
        for number in [number for number in (*self._calls, *self._streams) if number > last]:
            self._end_early(number, refused=True)

    def _set(self, payload: bytes) -> None:
        """Apply the settings of the server, and acknowledge them."""
        for name, value in settings_in(payload):
            if name == MAX_STREAMS:
                self._max_streams = value
            elif name == INITIAL_WINDOW:
                self._sender.set_stream_room(value)
        self.to_send.append(frame(SETTINGS, ACK, 0, b""))
