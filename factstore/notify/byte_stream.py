"""Bytes to and from a peer that may be slow or hostile, with and without TLS.

Each wait ends with the deadline of the request, whatever the peer sends in between, and the bytes that
are received are limited.  Timeouts of sockets alone do not give this: they begin again with each byte.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from factstore.notify.deadline import CHECK_SECONDS, Deadline

T = TypeVar("T")

PIECE_BYTES = 64 * 1024
HANDSHAKE_BYTES = 256 * 1024
"""The bytes that a peer may send in a TLS handshake; long chains of certificates need some ten KiB."""


class TooMuchReceived(Exception):
    """The peer has sent more bytes than are read."""


class ByteStream(Protocol):
    """A connection."""

    deadline: Deadline
    receivable: int
    """The number of bytes that may still be received."""

    def send_all(self, data: bytes) -> None:
        """Send bytes. Raises OSError, TimedOut or SendingEnded."""

    def receive(self, size: int) -> bytes:
        """Return the next bytes, none at the end. Raises OSError, TimedOut, TooMuchReceived..."""

    def is_quiet(self) -> bool:
        """Return True if nothing has arrived that was not received, not even the end."""

    def close(self) -> None:
        """Close the connection."""


class SocketStream:
    """A connection without TLS."""

    def __init__(self, connected: socket.socket, deadline: Deadline, receivable: int) -> None:
        self._socket = connected
        self.deadline = deadline
        self.receivable = receivable

    @classmethod
    def connect(cls, address: str, port: int, deadline: Deadline, receivable: int) -> SocketStream:
        """Return a connection to an IP address. Raises OSError, TimedOut or SendingEnded."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.settimeout(deadline.left())
            connected.connect((address, port))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connected.close()
            raise
        return cls(connected, deadline, receivable)

    def send_all(self, data: bytes) -> None:
        """See :class:`ByteStream`."""
        view = memoryview(data)
        while view:
            piece = view[:PIECE_BYTES]
            view = view[self._repeat(partial(self._socket.send, piece)) :]

    def receive(self, size: int) -> bytes:
        """See :class:`ByteStream`."""
        if self.receivable <= 0:
            raise TooMuchReceived
        data = self._repeat(lambda: self._socket.recv(min(size, self.receivable)))
        self.receivable -= len(data)
        return data

    def is_quiet(self) -> bool:
        """See :class:`ByteStream`."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _repeat(self, operation: Callable[[], T]) -> T:
        """Run an operation; after each short wait, check the deadline and run it again."""
        while True:
            self._socket.settimeout(min(self.deadline.left(), CHECK_SECONDS))
            try:
                return operation()
            except TimeoutError:
                continue

    def close(self) -> None:
        """See :class:`ByteStream`."""
        self._socket.close()


class TlsStream:
    """TLS on another stream, which bounds the time and the bytes of the handshake, too.

    :param host: the name or address that the peer's certificate must have.
    """

    def __init__(
        self, stream: ByteStream, context: ssl.SSLContext, host: str, receivable: int
    ) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        stream.receivable = HANDSHAKE_BYTES
        self._run(self._tls.do_handshake)
        stream.receivable = receivable

    @property
    def deadline(self) -> Deadline:
        """The deadline of the request."""
        return self._stream.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._stream.deadline = deadline

    @property
    def receivable(self) -> int:
        """The number of bytes that may still be received."""
        return self._stream.receivable

    @receivable.setter
    def receivable(self, count: int) -> None:
        self._stream.receivable = count

    def send_all(self, data: bytes) -> None:
        """See :class:`ByteStream`."""
        for at in range(0, len(data), PIECE_BYTES):
            piece = data[at : at + PIECE_BYTES]
            self._run(partial(self._tls.write, piece))

    def receive(self, size: int) -> bytes:
        """See :class:`ByteStream`."""
        try:
            return self._run(lambda: self._tls.read(size))
        except ssl.SSLZeroReturnError:  # the peer has ended the connection
            return b""

    def is_quiet(self) -> bool:
        """See :class:`ByteStream`."""
        return not (self._tls.pending() or self._incoming.pending) and self._stream.is_quiet()

    def _run(self, operation: Callable[[], T]) -> T:
        """Run an operation of TLS, and move its bytes from and to the other stream."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._stream.receive(PIECE_BYTES)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._stream.send_all(data)

    def close(self) -> None:
        """See :class:`ByteStream`."""
        self._stream.close()
