"""The bytes that a client gets before the response to its request.

They are ``100 Continue``, and the beginning of the first line, which serves as a probe.  A client
receives ``100 Continue`` when the application reads the body.  So the client of a request that is
refused before does not send it (RFC 9110, section 10.1.1).
"""

from __future__ import annotations

import os
from typing import Any

import gevent.socket


class EarlyBytes:
    """The part of a connection that sends bytes before the response.

    :param sock: the socket, or its descriptor.
    :ivar descriptor: that of the socket; -1 after it was closed.
    """

    __slots__ = ("_interim", "_own", "_sent_early", "descriptor")

    def __init__(self, sock: Any) -> None:
        self.descriptor: int = sock if isinstance(sock, int) else sock.fileno()
        self._own = None if isinstance(sock, int) else sock
        self._interim = b""  # what the client waits for before it sends the body
        self._sent_early = 0  # bytes of the response's first line

    @property
    def _sock(self) -> Any:
        # gevent's socket has two watchers of the loop, and only a greenlet needs them.
        if self._own is None:
            self._own = gevent.socket.socket(fileno=self.descriptor)
        return self._own

    def close_socket(self) -> None:
        """Close the socket."""
        own, descriptor, self.descriptor = self._own, self.descriptor, -1
        if own is not None:
            own.close()
        elif descriptor >= 0:
            os.close(descriptor)

    def send_now(self, data: bytes) -> int:
        """Send as many bytes as fit, without waiting; return their number.

        :raises BlockingIOError: none fits.
        """
        if self._own is None:
            return os.write(self.descriptor, data)
        sent: int = self._own.send(data, 0, 0.0)
        return sent

    def send(self, data: bytes) -> int:
        """Keep ``100 Continue``, for which alone gunicorn calls this, until the body is read."""
        self._interim = data
        return len(data)

    @property
    def awaits_continue(self) -> bool:
        """True if the client waits before it sends the body."""
        return self._interim != b""

    def take_early(self) -> int:
        """Return the number of bytes of a response that were sent while its request waited."""
        early, self._sent_early = self._sent_early, 0
        return early

    def _request_body(self) -> None:
        """Let a client that waits send the body."""
        interim, self._interim = self._interim, b""
        if interim and not self._sent_early:  # nothing may come between the parts of a line
            self._sock.sendall(interim)
