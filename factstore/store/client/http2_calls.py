"""The calls of an HTTP/2 connection: their outcomes, and the messages that they receive."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum

LOG = logging.getLogger(__name__)

# The name grpc-status as servers encode it, in front of the length of a number and its digits.
_STATUS_NAME = bytes.fromhex("00889acac8b21234da8f")
_NOT_CARRIED_OUT = (b"3", b"7", b"8", b"9", b"15", b"16")
"""The statuses with which etcd refuses a request: its arguments, permissions, no space, or the alarm
CORRUPT."""
_NO_LEASE = b"5"


class ProtocolError(Exception):
    """The server does not speak HTTP/2, or not as expected; the connection cannot be used."""


class Failure(Enum):
    """The outcome of a call without a response."""

    REFUSED = 0
    """It was not carried out."""
    LOST = 1
    """It may have been carried out."""
    NO_LEASE = 2
    """It was not carried out, because its lease does not exist."""


Ended = Callable[[list[bytes] | Failure], object]
"""Receives the messages that a call returns, as many as were sent, or its failure."""

Received = Callable[[bytes | bytearray | None], object]
"""Receives each message of a stream; None once it has ended, for whatever reason."""

LONG_BYTES = 1 << 20  # of a message that is passed on without a copy


class Call:
    """A running call with a response to each of its messages.

    :param count: of its messages.
    """

    __slots__ = ("_count", "_ended", "data", "until")

    def __init__(self, ended: Ended, until: float, count: int) -> None:
        self._ended = ended
        self._count = count
        self.until = until
        self.data = b""

    def complete(self, headers: bytes) -> None:
        """Pass on the responses, if they are whole.

        :param headers: those at the end of the call.
        """
        messages = _messages(self.data)
        self.end(messages if len(messages) == self._count else _failure(headers))

    def end(self, result: list[bytes] | Failure) -> None:
        """Pass the result on; a fault in what receives it must not strand the other calls."""
        try:
            self._ended(result)
        except Exception:
            LOG.exception("the result of a call to etcd was not processed")


class Stream:
    """A call whose response is a stream of messages.

    :ivar unacknowledged: the bytes that count towards the server's window.
    :ivar unread: the bytes of messages that the owner has not taken.
    """

    __slots__ = ("_data", "received", "unacknowledged", "unread")

    def __init__(self, received: Received) -> None:
        self.received = received
        self._data = bytearray()
        self.unacknowledged = self.unread = 0

    def add(self, payload: bytes) -> None:
        """Add bytes, and pass on the messages that are complete.

        :raises ProtocolError: a message is compressed.
        """
        data = self._data
        data += payload
        while len(data) >= 5 and len(data) >= (end := 5 + int.from_bytes(data[1:5])):
            if data[0]:
                raise ProtocolError("a compressed message")
            message: bytes | bytearray
            if end == len(data) and end > LONG_BYTES:
                message, self._data = data, bytearray()
                data = self._data
                del message[:5]
            else:
                with memoryview(data) as whole:  # a slice of the data itself would be one more copy
                    message = whole[5:end].tobytes()
                del data[:end]
            self.unread += len(message)
            self.received(message)


def _messages(data: bytes) -> list[bytes]:
    """Return the messages of a response; none if it is not whole, or if they are compressed."""
    found, at = [], 0
    while at < len(data):
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5])
        if data[at] or end > len(data) or len(data) - at < 5:
            return []
        found.append(data[at + 5 : end])
        at = end
    return found


def _failure(headers: bytes) -> Failure:
    """Return the failure that the headers at the end of a call state."""
    _, found, rest = headers.partition(_STATUS_NAME)
    status = rest[1 : 1 + rest[0]] if found and rest else b""
    if status == _NO_LEASE:
        return Failure.NO_LEASE
    return Failure.REFUSED if status in _NOT_CARRIED_OUT else Failure.LOST
