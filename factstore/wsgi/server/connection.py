"""A client's connection: bounds on how long it may stand still, and notice of a client that hung up.

A client that has closed its connection and one that has only shut down its sending side look the same:
the server has received FIN.  The latter still reads its response.  To tell them apart while a request
waits, the server sends a byte that it would send anyway.  The system of a client that has closed
answers with RST.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any

import gevent
from gunicorn.http.errors import LimitRequestHeaders, ParseException

from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.server.receiver import Receiver

if TYPE_CHECKING:
    from factstore.wsgi.fast_path.fast_path import FastPath
    from factstore.wsgi.server.connections import Connections

HEADER_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024  # of a body, each of which has the whole time of a read
PING = b": ping\n\n"

CURRENT: ContextVar[Connection | None] = ContextVar("connection", default=None)
"""The connection that a greenlet serves; None in the greenlets of background work."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RequestTimeout(ParseException):
    """A header did not arrive in time."""


class BodyTimeout(TimeoutError):
    """A body did not arrive in time."""


class _Phase(Enum):
    IDLE = 0
    HEADER = 1
    BODY = 2


class Connection:
    """A socket for gunicorn; it has the methods of a socket that gunicorn uses.

    :param idle_seconds: returns the time to wait for a request.
    """

    def __init__(
        self, sock: Any, connections: Connections, idle_seconds: Callable[[], float]
    ) -> None:
        self._sock = sock
        self._connections = connections
        self._limits = connections.limits
        self._idle_seconds = idle_seconds
        self.read_seconds = self._limits.read_seconds
        self._greenlet: Any = gevent.getcurrent()
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._phase = _Phase.IDLE
        self._until = 0.0  # of the phase; 0 before its first read
        self._room = 0  # bytes until the end of the phase or of a piece
        self._reading = False
        self._late = False
        self._request: Any = None
        self._stream = False
        self._sent_early = 0  # bytes of the response's first line
        self._waiting = False
        self.half_closed = False
        self._gone = False
        self._counted = False
        self.receiver: Receiver | None = None
        connections.add(self)

    def use_fast_path(self, fast_path: FastPath, *, local: bool) -> None:
        """Answer requests on the fast path where that is possible.

        :param local: True if the client has a loopback address.
        """
        if not self._tls:
            self.receiver = Receiver(self, fast_path, self._connections, local=local)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    # Phases of a request

    def begin_request(self, request: Any) -> None:
        """Note the request whose header has been read."""
        self._request = request
        self._phase, self._until = _Phase.BODY, 0.0

    def begin_stream(self) -> None:
        """Note that the response is a stream of server-sent events."""
        self._stream = True

    def end_request(self) -> None:
        """Note that the response has been sent; the next request can follow."""
        if self.receiver is not None and (gunicorn := getattr(self._request, "unreader", None)):
            # The receiver would take the middle of the next request for its beginning otherwise.
            # gunicorn 27 has take_buffered(), which does the same.
            data, gunicorn.buf = gunicorn.buf.getvalue(), io.BytesIO()
            self.receiver.unread(data)
        self._phase, self._late = _Phase.IDLE, False
        self._request, self._stream = None, False
        self._connections.end_body(self)

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
            self._phase = _Phase.HEADER
            self._room = HEADER_BYTES - len(data)  # less than none if a body has arrived, too
            self._until = time.monotonic() + self.read_seconds
            return data
        if not self._until:
            self._until = time.monotonic() + self.read_seconds
            self._room = PIECE_BYTES
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
        except _Closed:
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

    def close_idle(self) -> None:
        """Close the connection, in the hub, if it waits for a request."""
        if self not in self._connections.idle:
            return
        if self.receiver is not None:
            self.receiver.end()
        else:  # no request can arrive between the check and the throw
            self._greenlet.throw(_Closed())

    def set_idle(self, idle: bool) -> None:
        """Note whether the connection waits for a request."""
        self._connections.set_idle(self, idle)

    def expire_idle(self, now: float) -> None:
        """Close the connection, in the hub, if it has waited for a request for too long."""
        if self.receiver is not None:
            self.receiver.expire(now, self._idle_seconds(), self.read_seconds)

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
        if self._gone:
            self._count_gone()
            raise BrokenPipeError(errno.EPIPE, "the client has gone")
        rest = memoryview(data)
        if self._sent_early:
            rest, self._sent_early = rest[self._sent_early :], 0
        self._sock.settimeout(self._limits.write_seconds)
        try:
            while rest:
                rest = rest[self._sock.send(rest) :]
        except ConnectionError:
            self._count_gone()
            raise
        except TimeoutError:
            self._connections.count("write_timeout")
            # The system would keep the unread bytes, and try to deliver them, for minutes.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raise BrokenPipeError(errno.EPIPE, "the client reads nothing") from None

    # Waits

    def begin_wait(self) -> None:
        """Note that the request waits; :class:`ClientGone` is raised as soon as its client has gone."""
        self._waiting = True
        if self.half_closed or self._gone:
            self.check(in_hub=False)

    def end_wait(self) -> None:
        """Note that the request continues."""
        self._waiting = False

    def notice(self, *, gone: bool) -> None:
        """Note, in the hub, that the client has sent FIN or, if *gone*, RST."""
        if gone or self._tls:  # TLS knows no half-closed connections
            self._gone = True
        self.half_closed = True
        self.check()

    def check(self, *, in_hub: bool = True) -> None:
        """If the request waits, end it if its client has gone; probe a client that may have."""
        if not self._waiting:
            return
        if not self._gone:
            self._probe()
            self._connections.probe_again(self)
        if not self._gone:
            return
        self._waiting = False
        self._count_gone()
        if in_hub:
            self._greenlet.throw(ClientGone())
        else:
            raise ClientGone

    def _count_gone(self) -> None:
        if not self._counted:
            self._counted = True
            self._connections.count("hung_up")

    def _probe(self) -> None:
        """Send a byte of the response's first line, or a ping of a stream."""
        chunked = self._request.version > (1, 0)
        if self._stream:
            data = b"%X\r\n%s\r\n" % (len(PING), PING) if chunked else PING
        else:
            line = b"HTTP/%d.%d " % self._request.version
            data = line[self._sent_early : self._sent_early + 1]
        try:
            sent = self._sock.send(data, 0, 0.0) if data else 0
        except BlockingIOError:
            return  # what the client has not read yet is in the way, and serves as well
        except OSError:
            self._gone = True
            return
        if not self._stream:
            self._sent_early += sent
        elif sent < len(data):
            self._gone = True  # the stream is cut in the middle of a chunk

    def close(self) -> None:
        """Close the socket."""
        if self.receiver is not None:
            self.receiver.closed()
        self._connections.remove(self)
        self._sock.close()


class _Closed(BaseException):
    """The worker closes its idle connections."""
