"""A connection that was accepted last is served although its listener has been closed."""

from __future__ import annotations

import socket
from typing import Any

from gevent.pool import Pool

from factstore.wsgi.server.worker import Server


def test_a_connection_knows_the_address_of_a_listener_that_was_closed() -> None:
    served: list[Any] = []

    def serve(listener: Any, pool: Pool, client: socket.socket, address: Any) -> None:
        served.append((listener.getsockname(), listener.family))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        environ = {"wsgi.multiprocess": False}
        server = Server(listener, spawn=Pool(1), handler_class=serve, environ=environ)
    assert listener.fileno() == -1
    server.handle(None, None)
    assert served == [(address, socket.AF_INET)]
