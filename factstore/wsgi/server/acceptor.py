"""The acceptance of connections, each of which takes a place among those that a worker may have."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import socket


class _NamedListener:
    """A listener whose address is known even after a stopping worker has closed it."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener
        self._address = listener.getsockname()

    def getsockname(self) -> Any:
        return self._address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


class Place:
    """The place of a connection among those that the server accepts; it replaces a greenlet there.

    :param pool: the places.
    :param close: closes the connection, which then leaves its place.
    """

    __slots__ = ("_close", "_pool")

    def __init__(self, pool: Pool, close: Callable[[], None]) -> None:
        self._pool = pool
        self._close = close
        pool.add(self, blocking=False)

    def leave(self) -> None:
        """Let another connection have the place."""
        self._pool.discard(self)

    def kill(self, exception: object, block: bool = True) -> None:
        """Close the connection, because the worker has to end."""
        self._close()


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
        """Accept a connection; return its socket, or its descriptor if that may be enough."""
        if self._take_over is None:
            accepted: tuple[Any, Any] | None = super().do_read()
            return accepted
        try:
            descriptor, address = self.socket._accept()
        except BlockingIOError:
            return None
        os.set_blocking(descriptor, False)
        return descriptor, address

    def do_handle(self, client: Any, address: Any) -> None:
        """Serve a connection."""
        if self._take_over is not None:
            try:
                if self._take_over(client, address):
                    return
                client = socket(fileno=client)
            except BaseException:
                os.close(client)
                raise
        super().do_handle(client, address)

    def do_close(self, *connection: Any) -> None:
        """Leave it to the connection when to close its socket."""
