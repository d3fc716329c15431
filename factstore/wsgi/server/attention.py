"""Notice of a client that hung up while its request waits.

A client that has closed its connection and one that has only shut down its sending side look the same:
the server has received FIN.  The latter still reads its response.  To tell them apart while a request
waits, the server sends a byte that it would send anyway.  The system of a client that has closed
answers with RST.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent

from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.server.early_bytes import EarlyBytes

if TYPE_CHECKING:
    from factstore.wsgi.server.connections import Connections
    from factstore.wsgi.server.stream import Stream

PING = b": ping\n\n"


class Attention(EarlyBytes):
    """A connection that notices when its client hangs up.

    :ivar stream: the stream of server-sent events that is the response.
    :ivar half_closed: True if the client has sent its last.
    """

    __slots__ = (
        "_abandon",
        "_connections",
        "_counted",
        "_gone",
        "_greenlet",
        "_left",
        "_request",
        "_tls",
        "_waiting",
        "half_closed",
        "stream",
    )

    def __init__(self, sock: Any, connections: Connections) -> None:
        super().__init__(sock)
        self._connections = connections
        self._tls = isinstance(sock, ssl.SSLSocket)
        current = gevent.getcurrent()
        self._greenlet: Any = None if current is gevent.get_hub() else current
        self._left: Any = None  # the greenlet that ends although the connection remains
        self._request: Any = None
        self._abandon: Callable[[], None] | None = None  # of a request that waits in the loop
        self.stream: Stream | None = None
        self._waiting = False
        self.half_closed = False
        self._gone = False
        self._counted = False

    @property
    def left(self) -> bool:
        """True if the current greenlet does not serve the connection any more."""
        return self._left is not None and self._left is gevent.getcurrent()

    def park(self) -> None:
        """Let the current greenlet end, because the receiver waits for the next request without it."""
        self._left, self._greenlet = self._greenlet, None

    def _forget(self) -> None:
        """Forget what refers to the connection, which has ended.

        Without cycles its memory is free at once.  Old objects are hardly ever searched for cycles.
        """
        self._greenlet = self._request = self._abandon = self.stream = None
        if self._left is not None and self._left.dead:
            self._left = None

    def begin_wait(self) -> None:
        """Note that the request waits; :class:`ClientGone` is raised as soon as its client has gone."""
        self._waiting = True
        if self.half_closed or self._gone:
            self.check(in_hub=False)

    def end_wait(self) -> None:
        """Note that the request continues."""
        self._waiting = False

    def attend(self, request: Any, abandon: Callable[[], None]) -> None:
        """Call a function, in the hub, when the client of a request that waits in the loop has gone."""
        self._request, self._abandon, self._waiting = request, abandon, True
        self._connections.attended[self] = time.monotonic()
        if self.half_closed or self._gone:
            self._connections.call_soon(self.check)

    def end_attention(self) -> None:
        """Note that a request does not wait in the loop any more."""
        if self._abandon is not None:
            self._request = self._abandon = None
            self._waiting = False
            self._connections.attended.pop(self, None)

    def expire_attention(self) -> None:
        """Note that a request waits in the loop for long."""

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
        if self.stream is not None and self.stream.listener is not None:
            self.stream.gone()
            return
        self.count_gone()
        if self._abandon is not None:
            self._abandon()
        elif in_hub:
            self._greenlet.throw(ClientGone())
        else:
            raise ClientGone

    def count_gone(self) -> None:
        """Count a client that has gone, once."""
        if not self._counted:
            self._counted = True
            self._connections.count("hung_up")

    def _probe(self) -> None:
        """Send a byte of the response's first line, or a ping of a stream."""
        if self.stream is not None:
            data = self.stream.framed(PING)
        else:
            line = b"HTTP/%d.%d " % self._request.version
            data = line[self._sent_early : self._sent_early + 1]
        try:
            sent = self.send_now(data) if data else 0
        except BlockingIOError:
            return  # what the client has not read yet is in the way, and serves as well
        except OSError:
            self._gone = True
            return
        if self.stream is None:
            self._sent_early += sent
        elif sent < len(data):
            self._gone = True  # the stream is cut in the middle of a chunk
