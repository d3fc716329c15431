"""The acceptance of connections, each of which takes a place among those that a worker may have."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import socket

LOG = logging.getLogger(__name__)


class _NamedListener:
    """A listener whose address is known even after a stopping worker has closed it."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener
        self._address = listener.getsockname()

    def getsockname(self) -> Any:
        return self._address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


class Occupant(ABC):
    """A connection that has a place among those that a server accepts, like a greenlet."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Close the connection, which then leaves its place."""

    def rawlink(self, callback: object) -> None:  # noqa: B027
        """Do nothing; a greenlet would report its end."""

    unlink = rawlink

    def kill(self, exception: object, block: bool = True) -> None:
        """Close the connection, because the worker has to end."""
        self.close()


class Server(StreamServer):
    """Accepts connections; it has the parameters that gunicorn gives a server class.

    :param accept: takes over the descriptor of a connection without a greenlet; returns False if the
        connection needs one.
    """

    def __init__(
        self,
        listener: Any,
        *,
        spawn: Pool,
        handler_class: Any,
        environ: Any,
        accept: Callable[[Any, Pool, int, Any], bool],
        **options: Any,
    ) -> None:
        tls = {name: value for name, value in options.items() if name == "ssl_context"}
        if environ["wsgi.multiprocess"]:
            self.max_accept = 1  # the other processes accept connections, too
        named = _NamedListener(listener)
        self._take_over = None if tls else partial(accept, named, spawn)
        super().__init__(listener, partial(handler_class, named), spawn=spawn, **tls)

    def do_read(self) -> tuple[Any, Any] | None:
        """Accept connections; return the socket of one that needs a greenlet, and its address."""
        if self._take_over is None:
            accepted: tuple[Any, Any] | None = super().do_read()
            return accepted
        accept = self.socket._accept
        for _ in range(self.max_accept):
            if self.full():
                break  # the caller waits for a place
            try:
                descriptor, address = accept()
            except BlockingIOError:
                break
            if not self._takes_over(descriptor, address):
                return socket(fileno=descriptor), address
        return None

    def _takes_over(self, descriptor: int, address: Any) -> bool:
        """Return False if a connection needs a greenlet; close it after a failure."""
        assert self._take_over is not None  # noqa: S101 - the caller has checked it
        try:
            os.set_blocking(descriptor, False)
            return self._take_over(descriptor, address)
        except Exception:  # the others have to be accepted
            LOG.exception("A connection from %s could not be served.", address)
            os.close(descriptor)
            return True

    def do_close(self, *connection: Any) -> None:
        """Leave it to the connection when to close its socket."""
