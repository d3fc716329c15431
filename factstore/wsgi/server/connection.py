"""A client's connection: its requests, and bounds on how long it may stall."""

from __future__ import annotations

import errno
import io
import socket
import struct
import time
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any

import gevent
from gunicorn.http.errors import LimitRequestHeaders

from factstore.wsgi.server.acceptor import Occupant
from factstore.wsgi.server.attention import Attention
from factstore.wsgi.server.request_source import RequestSource
from factstore.wsgi.server.timeouts import BodyTimeout, IdleClosed, RequestTimeout

if TYPE_CHECKING:
    from gevent.pool import Pool

    from factstore.api.event_stream import ContinueStream, Watcher
    from factstore.wsgi.fast_path.stream_answer import StreamStart
    from factstore.wsgi.server.connections import Connections

HEADER_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024  # of a body, each of which has the whole time of a read

CURRENT: ContextVar[Connection | None] = ContextVar("connection", default=None)
"""The connection that a greenlet serves; None in the greenlets of background work."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Phase(Enum):
    IDLE = 0
    HEADER = 1
    BODY = 2


class Connection(Attention, Occupant):
    """A socket for gunicorn; it has the methods of a socket that gunicorn uses.

    :param idle_seconds: returns the time to wait for a request.
    """

    __slots__ = (
        "_idle_seconds",
        "_late",
        "_limits",
        "_phase",
        "_reading",
        "_room",
        "_until",
        "origin",
        "places",
        "read_seconds",
        "receiver",
    )

    def __init__(
        self, sock: Any, connections: Connections, idle_seconds: Callable[[], float]
    ) -> None:
        super().__init__(sock, connections)
        self._limits = connections.limits
        self._idle_seconds = idle_seconds
        self.read_seconds = self._limits.read_seconds
        self._phase = _Phase.IDLE
        self._until = 0.0  # of the phase; 0 before its first read
        self._room = 0  # bytes until the end of the phase or of a piece
        self._reading = self._late = False
        self.origin: tuple[Any, Any] = (None, None)
        """The socket that accepted the connection, and the address of the client."""
        self.places: Pool | None = None
        """The places for connections, if it has one itself and not its greenlet."""
        self.receiver: RequestSource | None = None
        """Receives the requests, if the fast path may answer them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def fileno(self) -> int:
        """Return the descriptor of the socket; -1 after it was closed."""
        return self.descriptor

    # Phases of a request

    def begin_request(self, request: Any) -> None:
        """Note the request whose header has been read."""
        self._request = request
        self._phase, self._until = _Phase.BODY, 0.0

    def begin_stream(self, watcher: Watcher) -> ContinueStream | None:
        """Note that the response is a stream of server-sent events."""
        request, connections = self._request, self._connections
        streams = None if self._tls else connections.streams
        chunked, keeps_alive = request.version > (1, 0), not request.should_close()
        self.stream = connections.new_stream(
            self, streams, watcher, chunked=chunked, keeps_alive=keeps_alive
        )
        return None if streams is None else self.stream.hand_over

    def start_stream(self, start: StreamStart) -> None:
        """Begin a stream in the hub, without a greenlet, as the response to a request of HTTP/1.1."""
        self._phase, self._until = _Phase.BODY, 0.0
        self.stream = self._connections.new_stream(
            self, self._connections.streams, start.watcher, chunked=True, keeps_alive=True
        )
        self.stream.begin(start.head[self.take_early() :], start.cursor)

    def end_request(self) -> None:
        """Note that the response has been sent, unless it is a stream that continues."""
        if self.receiver is not None and (gunicorn := getattr(self._request, "unreader", None)):
            # The receiver would take the middle of the next request for its beginning otherwise.
            # gunicorn 27 has take_buffered(), which does the same.
            data, gunicorn.buf = gunicorn.buf.getvalue(), io.BytesIO()
            self.receiver.unread(data)
        self._connections.end_body(self)
        if self.left:
            self._request = None
        else:
            self.end_stream()

    def end_stream(self) -> None:
        """Note that the response has been sent; the next request can follow."""
        self._phase, self._late, self._waiting = _Phase.IDLE, False, False
        self._request, self.stream, self._interim = None, None, b""

    # The greenlet that serves the connection

    def leave(self) -> None:
        """Let the current greenlet end, because a listener sends the rest of its stream."""
        self.park()
        self._waiting = True
        if self.half_closed:
            self._connections.call_soon(self.check)

    def enter(self) -> None:
        """Let the current greenlet serve the connection."""
        self._greenlet = gevent.getcurrent()
        CURRENT.set(self)

    # Reads

    def recv(self, size: int) -> bytes:
        """Return bytes of a request; empty if the client has sent its last or nothing for too long.

        :raises RequestTimeout: the header is late.
        :raises BodyTimeout: the body is late.
        """
        if self._late:  # the worker reads the rest so that the client can read the response
            self._sock.settimeout(self.read_seconds)
            rest: bytes = self._sock.recv(size)
            return rest
        if self._phase is _Phase.IDLE:
            data = self._recv_first(size)
            if self.left:
                return data
            self._phase = _Phase.HEADER
            self._room = HEADER_BYTES - len(data)  # less than none if a body has arrived, too
            self._until = time.monotonic() + self.read_seconds
            return data
        if not self._until:
            self._until = time.monotonic() + self.read_seconds
            self._room = PIECE_BYTES
        self._request_body()
        data = self._recv_next(size)
        self._room -= len(data)
        if self._phase is _Phase.BODY:
            if self._room <= 0:
                self._until = 0.0
            self._connections.add_body(self, len(data))
        elif self._room < 0:
            raise LimitRequestHeaders("limit of all headers")
        return data

    def _recv_first(self, size: int) -> bytes:
        if self.receiver is not None:
            return self.receiver.receive()
        self._sock.settimeout(self._idle_seconds())
        self.set_idle(True)
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            self._connections.count("idle")
            return b""
        except IdleClosed:
            return b""
        finally:
            self.set_idle(False)
        return data

    def _recv_next(self, size: int) -> bytes:
        self._sock.settimeout(max(0.001, self._until - time.monotonic()))
        self._reading = True
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            self._late = True
            self._connections.count("read_timeout")
            if self._phase is _Phase.HEADER:
                raise RequestTimeout from None
            self._request.force_close()
            raise BodyTimeout("the body did not arrive in time") from None
        finally:
            self._reading = False
        return data

    def end_responses(self) -> None:
        """Let the client know that no response follows; all it sends from now on can be read."""
        self._late = True
        if not self._tls:
            self._sock.shutdown(socket.SHUT_WR)

    def close_idle(self) -> None:
        """Close the connection, in the hub, if it waits for a request."""
        if self not in self._connections.idle:
            return
        if self.receiver is not None:
            self.receiver.end()
        else:  # no request can arrive between the check and the throw
            self._greenlet.throw(IdleClosed())

    def set_idle(self, idle: bool) -> None:
        """Note whether the connection waits for a request."""
        self._connections.set_idle(self, idle)

    def expire_idle(self, now: float) -> None:
        """Close the connection, in the hub, if it has waited for a request for too long."""
        if self.receiver is not None:
            self.receiver.expire(now, self._idle_seconds(), self.read_seconds)

    def expire_attention(self) -> None:
        """Let the greenlet end, in the hub, because the request waits for long without it."""
        if self.receiver is not None:
            self.receiver.park()

    def expire_body(self) -> bool:
        """End the time of the body, in the hub; return False if it is not being read."""
        if self._reading:
            self._greenlet.throw(TimeoutError("the bodies of requests are too large together"))
            return True
        return False

    # Writes

    def sendall(self, data: bytes | memoryview) -> None:
        """Send bytes; wait as long as the client reads some of them now and then.

        :raises BrokenPipeError: the client has gone, or read nothing for too long.
        """
        if self.left:
            return  # the end of a body that has not ended
        if self._gone:
            self.count_gone()
            raise BrokenPipeError(errno.EPIPE, "the client has gone")
        rest, self._interim = memoryview(data), b""
        if self._sent_early:
            rest, self._sent_early = rest[self._sent_early :], 0
        self._sock.settimeout(self._limits.write_seconds)
        try:
            while rest:
                rest = rest[self._sock.send(rest) :]
        except ConnectionError:
            self.count_gone()
            raise
        except TimeoutError:
            self._connections.count("write_timeout")
            # The system would keep the unread bytes, and try to deliver them, for minutes.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raise BrokenPipeError(errno.EPIPE, "the client reads nothing") from None

    # The end

    def close(self) -> None:
        """Close the socket, unless the current greenlet has left it."""
        if self.left:
            return
        self._forget()
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.closed()
        self._connections.remove(self)
        self.close_socket()
        places, self.places = self.places, None
        if places is not None:
            places.discard(self)
