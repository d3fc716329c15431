"""The frames that an HTTP/2 connection sends, as far as the server has room for them."""

from __future__ import annotations

from collections.abc import Sequence

from factstore.store.client.http2_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HEADERS,
    NO_WINDOW,
    PING,
    frame,
    frame_head,
)

UNSENT = 1 << 21
"""The bytes that wait for room at the server, above which no call is begun."""


class Sender:
    """The frames for the server, and the rest of messages for which it has no room yet.

    :ivar to_send: bytes for the server, in order; the owner takes them.
    :ivar pongs: answers to pings that are not urgent.
    """

    def __init__(self) -> None:
        self.to_send: list[bytes] = []
        self.pongs: list[bytes] = []
        self._room = self._stream_room = NO_WINDOW
        self._rests: dict[int, _Rest] = {}

    @property
    def crowded(self) -> bool:
        """True if much waits already."""
        rests = self._rests
        return bool(rests) and sum(len(rest.data) for rest in rests.values()) > UNSENT

    def begin(self, stream: int, block: bytes, messages: Sequence[bytes], *, ends: bool) -> None:
        """Send the headers and the messages of a call.

        :param ends: True if the call has no further messages.
        """
        self.to_send += (frame_head(len(block), HEADERS, END_HEADERS, stream), block)
        data = b"\0%b%b" % (len(messages[0]).to_bytes(4), messages[0])
        for each in messages[1:]:
            data += b"\0%b%b" % (len(each).to_bytes(4), each)
        if not self._rests and len(data) <= min(FRAME_BYTES, self._room, self._stream_room):
            self.to_send += (frame_head(len(data), DATA, END_STREAM if ends else 0, stream), data)
            self._room -= len(data)
            return
        rest = _Rest(data, self._stream_room, ends)
        if self._rests or not self._send(stream, rest):
            self._rests[stream] = rest

    def pong(self, payload: bytes) -> None:
        """Answer a ping; it is urgent while a message waits for room.

        gRPC servers send a ping after each message, unless the previous one was not answered, to find
        out how much room they should offer.
        """
        answers = self.to_send if self._rests else self.pongs
        answers.append(frame(PING, ACK, 0, payload))

    def unsent(self, stream: int) -> bool:
        """Return True if a part of a message was not sent."""
        return stream in self._rests

    def cancel(self, stream: int) -> None:
        """Forget what is left of a message."""
        self._rests.pop(stream, None)

    def widen(self, stream: int, size: int) -> None:
        """Record that the server has more room, of a stream or of the connection if it is 0."""
        if stream == 0:
            self._room += size
        elif (rest := self._rests.get(stream)) is not None:
            rest.room += size
        self._send_rests()

    def set_stream_room(self, size: int) -> None:
        """Set the room that the server has for the message of a call."""
        for rest in self._rests.values():
            rest.room += size - self._stream_room
        self._stream_room = size
        self._send_rests()

    def _send_rests(self) -> None:
        for stream, rest in list(self._rests.items()):
            if self._send(stream, rest):
                del self._rests[stream]

    def _send(self, stream: int, rest: _Rest) -> bool:
        """Send as much of a message as there is room for; return True if that was all."""
        data = rest.data
        size = min(len(data), self._room, rest.room)
        for at in range(0, size, FRAME_BYTES):
            piece = data[at : min(at + FRAME_BYTES, size)]
            flags = END_STREAM if rest.ends and at + len(piece) == len(data) else 0
            self.to_send += (frame_head(len(piece), DATA, flags, stream), piece)
        if size > 0:
            self._room -= size
            rest.room -= size
            rest.data = data[size:]
        return not rest.data


class _Rest:
    """The part of a message that was not sent.

    :ivar room: of the stream at the server; it can be negative after a change of the settings.
    """

    __slots__ = ("data", "ends", "room")

    def __init__(self, data: bytes, room: int, ends: bool) -> None:
        self.data, self.room, self.ends = data, room, ends
