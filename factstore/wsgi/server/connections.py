"""All connections of a worker: notices of those that were closed, and what they have in common."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent import get_hub, monkey

from factstore.wsgi.connection_limits import ConnectionLimits
from factstore.wsgi.server.attention import Attention
from factstore.wsgi.server.connection import Connection

if TYPE_CHECKING:
    from factstore.wsgi.server.streams import Streams

PROBE_SECONDS = 6.0
"""Between two probes of a client that has closed its sending side; nine fit into the longest wait."""

UNSENT_BYTES = 128 * 1024  # in the send buffer of a connection
_READ = 1  # of libev
_EVENTS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_HUNG_UP = select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP
EXPIRY_SECONDS = 1.0  # between two searches for connections that have waited for too long


class Connections:
    """The connections of a worker.

    One epoll set reports those whose client has hung up, at no cost for the others.

    :param count: counts a connection that ended, by the reason.
    :param most: the number at which the server stops to accept connections.
    """

    def __init__(self, limits: ConnectionLimits, count: Callable[[str], None], most: int) -> None:
        self.limits = limits
        self.count = count
        self._most = most
        self.idle: dict[Connection, None] = {}  # the one that has waited for longest comes first
        self.attended: dict[Attention, float] = {}
        """Those whose request waits in the loop, and since when, until their greenlet has ended."""
        self.stopping = False
        self.streams: Streams | None = None
        """Those that send streams without greenlets, if there are any."""
        # The worker imports this module before gevent patches what that one imports.
        from factstore.wsgi.server.stream import Stream

        self.new_stream = Stream
        self._open: dict[int, Connection] = {}
        self._bodies: dict[Connection, int] = {}  # the one that began first comes first
        self._body_bytes = 0
        self._half_closed: set[Attention] = set()
        self._epoll = monkey.get_original("select", "epoll")()
        self._loop = get_hub().loop
        self.call_soon: Callable[..., object] = self._loop.run_callback
        """Calls a function in the hub, with arguments."""
        self._reports = self._loop.io(self._epoll.fileno(), _READ)
        self._reports.start(self._report)
        self._timer = self._loop.timer(PROBE_SECONDS, PROBE_SECONDS)
        self._timers: list[Any] = []
        self.call_every(EXPIRY_SECONDS, self._expire_idle)

    def gauges(self) -> dict[str, int]:
        """Return current numbers, by the names of the metrics."""
        return {"connections": len(self._open), "body_bytes": self._body_bytes}

    def add(self, connection: Connection) -> None:
        """Watch a connection until it is removed.

        What has arrived before, and was not read, is reported as well.
        """
        descriptor = connection.descriptor
        if descriptor < 0:
            return  # it was closed meanwhile
        self._epoll.register(descriptor, _EVENTS)
        self._open[descriptor] = connection
        if len(self._open) >= self._most and self.idle:  # the next client would not be accepted
            self.count("idle")
            self.call_soon(next(iter(self.idle)).close_idle)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is about to be closed, which removes it from the epoll set."""
        self._open.pop(connection.descriptor, None)
        self._half_closed.discard(connection)
        self.attended.pop(connection, None)
        self.end_body(connection)

    def set_idle(self, connection: Connection, idle: bool) -> None:
        """Note whether a connection waits for a request."""
        if idle:
            self.idle[connection] = None
        else:
            self.idle.pop(connection, None)

    def _report(self) -> None:
        for descriptor, flags in self._epoll.poll(0):
            connection = self._open.get(descriptor)
            if connection is None:
                continue
            if flags & _HUNG_UP:
                connection.notice(gone=bool(flags & (select.EPOLLERR | select.EPOLLHUP)))
            if connection.receiver is not None:
                connection.receiver.readable()

    def probe_again(self, connection: Attention) -> None:
        """Probe a connection now and then while its request waits."""
        if not self._half_closed:
            self._timer.again(self._probe)
        self._half_closed.add(connection)

    def _probe(self) -> None:
        for connection in list(self._half_closed):
            connection.check()
        if not self._half_closed:
            self._timer.stop()

    def call_every(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function in the hub every so many seconds."""
        timer = self._loop.timer(seconds, seconds)
        timer.start(call)
        self._timers.append(timer)

    def call_while(self, seconds: float, call: Callable[[], bool]) -> Callable[[], None]:
        """Return a function that has another called every so many seconds until it returns False."""
        timer = self._loop.timer(seconds, seconds)
        self._timers.append(timer)

        def tick() -> None:
            if not call():
                timer.stop()

        def begin() -> None:
            if not timer.active:
                timer.again(tick)

        return begin

    def _expire_idle(self) -> None:
        now = time.monotonic()
        for connection in list(self.idle):
            connection.expire_idle(now)
        for attended, since in list(self.attended.items()):
            if now - since < EXPIRY_SECONDS:
                break
            del self.attended[attended]
            attended.expire_attention()

    # Bodies

    def add_body(self, connection: Connection, size: int) -> None:
        """Count bytes of a body; if all bodies are too large, end the one that began first."""
        self._bodies[connection] = self._bodies.get(connection, 0) + size
        self._body_bytes += size
        if self._body_bytes > self.limits.body_bytes:
            self.call_soon(self._expire_bodies)

    def end_body(self, connection: Connection) -> None:
        """Subtract the body of a request that has ended."""
        self._body_bytes -= self._bodies.pop(connection, 0)

    def _expire_bodies(self) -> None:
        for connection in list(self._bodies):
            if self._body_bytes <= self.limits.body_bytes:
                return
            if connection.expire_body():
                self.end_body(connection)

    def close_idle(self) -> None:
        """Close the connections that wait for a request, and others after their next response."""
        self.stopping = True
        for connection in list(self.idle):
            self.call_soon(connection.close_idle)


def set_listener_options(listener: Any, limits: ConnectionLimits) -> None:
    """Set options that the connections inherit from a socket that listens for TCP."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    seconds = max(1, round(limits.write_seconds))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        # A client that was switched off sends neither FIN nor RST.
        (socket.TCP_KEEPIDLE, seconds),
        (socket.TCP_KEEPINTVL, max(1, seconds // 3)),
        (socket.TCP_USER_TIMEOUT, seconds * 1000),
        # A send buffer grows to megabytes otherwise, whatever the client reads.
        (socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES),
    ):
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
