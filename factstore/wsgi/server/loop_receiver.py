"""Reads the requests of a connection in the hub, and answers those that the fast path knows.

While a connection waits for a request, its greenlet sleeps.  The requests that arrive are read in the
hub, and answered there if the fast path can do so in the loop.  The greenlet wakes for the others, and
for the rest of a response that the client reads slowly.  A greenlet needs most of the memory of a
connection, so it ends when it has slept for long, and another one takes its place when it is needed.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from gevent.hub import Waiter

from factstore.wsgi.fast_path.http_request import PARTIAL, Request
from factstore.wsgi.fast_path.stream_answer import StreamStart
from factstore.wsgi.server.connection import Connection
from factstore.wsgi.server.connections import Connections

if TYPE_CHECKING:
    from factstore.wsgi.fast_path.fast_path import FastPath

LOG = logging.getLogger(__name__)
READ_BYTES = 64 * 1024
COUNTED_BYTES = 4096  # of the smallest body that counts towards the limit of all while in the hub
PARK_SECONDS = 1.0  # after which the greenlet of a connection that waits ends

Resume = Callable[[], Iterable[bytes] | None]
Found = bytes | memoryview | tuple[Request, Resume | None]
"""Bytes for gunicorn, the rest of a response, or a request with what is left to do for it."""
PARK = memoryview(b"")  # lets the greenlet end


class LoopReceiver:
    """The part of a :class:`~factstore.wsgi.server.receiver.Receiver` that runs in the hub.

    :param local: True if the client has a loopback address.
    """

    __slots__ = (
        "_attended",
        "_busy",
        "_call_soon",
        "_connection",
        "_connections",
        "_counted",
        "_data",
        "_descriptor",
        "_fast_path",
        "_found",
        "_idle",
        "_local",
        "_more",
        "_parked",
        "_request",
        "_since",
        "_waiter",
    )

    def __init__(
        self,
        connection: Connection,
        fast_path: FastPath,
        connections: Connections,
        *,
        local: bool,
    ) -> None:
        self._connection = connection
        self._descriptor = connection.descriptor
        self._fast_path = fast_path
        self._local = local
        self._connections = connections
        self._idle = connections.idle
        self._waiter: Waiter[Any] | None = None
        self._parked = True  # it waits, and no greenlet waits for it
        self._found: Found | None = None  # for the greenlet that takes its place
        self._data = b""  # a part of a request
        self._busy = False
        self._request: Request | None = None  # that is answered in the hub
        self._counted = self._attended = False  # its body, and its client
        self._more = False
        self._since = time.monotonic()  # of the waiting, or of the first part of a request
        self._call_soon = connections.call_soon
        self._idle[connection] = None

    @property
    def _waits(self) -> bool:
        """True if the connection waits for a request."""
        return (self._waiter is not None or self._parked) and not self._busy

    def readable(self) -> None:
        """Read what has arrived, if the connection waits for a request."""
        if not self._waits:
            self._more = True
            return
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except TimeoutError:  # the system has given up: nobody reads the end of the last response
            self._connections.count("write_timeout")
            data = b""
        except OSError:
            data = b""
        if not data:
            self._wake_gunicorn()
            return
        # The epoll set reports only what arrives from now on, not what has been left, such as FIN.
        self._more = len(data) == READ_BYTES or self._connection.half_closed
        if not self._data:
            self._since = time.monotonic()
        self._take(self._data + data if self._data else data)

    def _continue(self) -> None:
        """Read a request that has arrived behind the previous one, or what has arrived since."""
        if not self._waits:
            return
        data, self._data = self._data, b""
        if data:
            self._take(data)
        else:
            self._more = False
            self.readable()

    def _take(self, data: bytes) -> None:
        try:
            self._serve(data)
        except Exception:  # the hub would lose the requests of other connections, too
            LOG.exception("The fast path failed.")
            self._busy, self._request, self._data = False, None, b""
            self._wake(data)

    def _serve(self, data: bytes) -> None:
        # gunicorn closes the connection after a response if the worker is stopping.
        request = None if self._connections.stopping else self._fast_path.parse(data)
        if request is PARTIAL:
            self._data = data
            if self._more:
                self._more = False
                self.readable()
            return
        if not isinstance(request, Request):
            self._data = b""
            self._wake(data)
            return
        self._data = b"" if len(data) == len(request.data) else data[len(request.data) :]
        self._busy, self._request = True, request
        self._idle.pop(self._connection, None)
        if (size := len(request.body)) >= COUNTED_BYTES:
            self._counted = True
            self._connections.add_body(self._connection, size)
        if not self._fast_path.start(
            request,
            self._respond,
            self._attend,
            local=self._local,
            begins_streams=self._parked,
        ):
            self._respond(None)

    def _attend(self, abandon: Callable[[], None]) -> None:
        self._attended = True
        self._connection.attend(self._request, partial(self._abandon, abandon))

    def _abandon(self, abandon: Callable[[], None]) -> None:
        """End the connection, whose client has gone."""
        abandon()
        self._end_request()
        self._wake(b"")

    def _end_request(self) -> bool:
        """End the time in the hub; return True if the client was attended meanwhile."""
        self._busy, self._request = False, None
        if self._counted:
            self._counted = False
            self._connections.end_body(self._connection)
        attended, self._attended = self._attended, False
        if attended:
            self._connection.end_attention()
        return attended

    def _respond(self, response: bytes | StreamStart | Resume | None) -> None:
        request = self._request
        assert request is not None  # noqa: S101 - it is answered once
        attended = self._end_request()
        if isinstance(response, bytes):
            if attended and (early := self._connection.take_early()):
                response = response[early:]
            self._send(response)
        elif isinstance(response, StreamStart):
            self._parked = False
            self._connection.start_stream(response)
        else:
            self._wake((request, response))

    def _send(self, response: bytes) -> None:
        try:
            sent = os.write(self._descriptor, response)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._connections.count("hung_up")
            self._wake(b"")
            return
        if sent < len(response):
            self._wake(memoryview(response)[sent:])
            return
        self._since = time.monotonic()
        self._idle[self._connection] = None
        if self._data or self._more:
            self._call_soon(self._continue)

    def _wake(self, found: Found) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._call_soon(waiter.switch, found)
        elif self._parked:
            self._unpark(found)

    def park(self) -> None:
        """Let the greenlet end, if it waits for a request, or for the response to one."""
        waiter, streams = self._waiter, self._connections.streams
        if waiter is not None and streams is not None:
            self._waiter, self._parked = None, True
            self._call_soon(waiter.switch, PARK)

    def _unpark(self, found: Found) -> None:
        """Let another greenlet continue."""
        self._parked = False
        self._connection.set_idle(False)
        if found == b"":
            self._call_soon(self._close)
        elif (streams := self._connections.streams) is not None:
            self._found = found
            streams.serve_next(self._connection)

    def _end_idle(self) -> None:
        """Close the connection, unless a request has arrived."""
        self.readable()  # a worker that is late finds the end of the time before the request
        if self._waits and not self._data:
            self._connections.count("idle")
            self._wake(b"")

    def _close(self) -> None:
        """Close a connection without a greenlet, unless a request has arrived meanwhile."""
        data, streams = self._read_late(), self._connections.streams
        if data and streams is not None:
            self._found = data
            streams.serve_next(self._connection)
        else:
            self._connection.close()

    def _wake_gunicorn(self) -> None:
        """Let gunicorn continue with a part of a request; without one, it ends the connection."""
        data, self._data = self._data, b""
        self._wake(data)

    def end(self) -> None:
        """Stop waiting for a request, unless one is arriving."""
        self.readable()
        if not self._busy:
            self._wake_gunicorn()

    def closed(self) -> None:
        """Forget the socket, whose descriptor can be used for another connection from now on."""
        self._descriptor = -1

    def expire(self, now: float, idle_seconds: float, read_seconds: float) -> None:
        """Stop waiting if no request, or no more of one, has arrived for too long."""
        if not self._waits:
            return
        waited = now - self._since
        if self._data and waited > read_seconds:
            self._wake_gunicorn()  # it waits for the rest, and answers that it is late
        elif not self._data and waited > idle_seconds:
            self._end_idle()
        elif not self._data and waited > PARK_SECONDS:
            self.park()

    def _read_late(self) -> bytes:
        """Return what has arrived since the end of the connection was decided, or nothing.

        To close a connection with a request that was not read would reset it.
        """
        try:
            return os.read(self._descriptor, READ_BYTES)
        except OSError:
            return b""
