"""Receives the requests of a connection, and carries out those that the fast path knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gevent.hub import Waiter

from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.server.connection import Connection
from factstore.wsgi.server.connections import Connections
from factstore.wsgi.server.loop_receiver import PARK, Found, LoopReceiver

if TYPE_CHECKING:
    from factstore.wsgi.fast_path.fast_path import FastPath


class Receiver(LoopReceiver):
    """The fast path of one connection: the part that runs in its greenlet."""

    __slots__ = ()

    def receive(self) -> bytes:
        """Return the first bytes of a request for gunicorn, or none if the client has sent its last."""
        while True:
            found = self._next()
            if found is PARK:
                self._connection.park()
                return b""
            if isinstance(found, bytes):
                return found or self._read_late()
            if isinstance(found, memoryview):
                self._connection.sendall(found)
                continue
            request, resume = found
            connection = self._connection
            connection.begin_request(request)
            self._connections.add_body(connection, len(request.body))
            try:
                pieces = (
                    self._fast_path.serve(
                        request, local=self._local, begin_stream=connection.begin_stream
                    )
                    if resume is None
                    else resume()
                )
                if pieces is None:
                    rest, self._data = request.data + self._data, b""
                    return rest
                for piece in pieces:
                    connection.sendall(piece)
            except ClientGone:
                return b""
            finally:
                connection.end_request()
            if connection.left:
                return b""

    def _next(self) -> Found:
        passed, self._found = self._found, None
        if passed is not None:
            return passed
        self._waiter, self._parked = Waiter(), False
        self._since = time.monotonic()
        self._connection.set_idle(True)
        # What arrived earlier is not reported again.
        self._call_soon(self._continue)
        try:
            found: Found = self._waiter.get()
        finally:
            self._waiter = None
            if not self._parked:
                self._connection.set_idle(False)
        return found

    def unread(self, data: bytes) -> None:
        """Take back what gunicorn has read beyond the end of a request."""
        self._data = data + self._data


def use_fast_path(
    connection: Connection, fast_path: FastPath, connections: Connections, *, local: bool
) -> Receiver:
    """Answer requests on the fast path where that is possible, and wait for the first in the hub.

    :param local: True if the client has a loopback address.
    """
    receiver = connection.receiver = Receiver(connection, fast_path, connections, local=local)
    return receiver
