"""A connection that was accepted last is served although its listener has been closed."""

from __future__ import annotations

import socket
from typing import Any
from unittest.mock import Mock

from gevent.pool import Pool

from factstore.wsgi.server.acceptor import Place, Server


def test_a_connection_knows_the_address_of_a_listener_that_was_closed() -> None:
    served: list[Any] = []

    def accept(listener: Any, pool: Pool, client: socket.socket, address: Any) -> bool:
        served.append((listener.getsockname(), listener.family))
        return True

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        environ = {"wsgi.multiprocess": False}
        server = Server(
            listener, spawn=Pool(1), handler_class=Mock(), environ=environ, accept=accept
        )
    assert listener.fileno() == -1
    server.do_handle(None, None)
    assert served == [(address, socket.AF_INET)]


def test_a_worker_that_has_to_end_closes_the_connections_that_have_no_greenlet() -> None:
    pool = Pool(2)
    closed: list[Place] = []

    def close() -> None:
        closed.append(place)
        place.leave()

    place = Place(pool, close)
    assert pool.free_count() == 1
    pool.kill(timeout=10)
    assert closed == [place]
    assert pool.free_count() == 2
