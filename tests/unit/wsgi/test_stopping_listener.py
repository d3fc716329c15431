"""Connections are accepted as long as there are places, also the last one of a stopping worker."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import gevent.socket
import pytest
from gevent.pool import Pool

from factstore.wsgi.server.acceptor import Occupant, Server


class Listening:
    """A server in the process of the test; *accept* takes its connections over.

    :param most: the number of places.
    """

    def __init__(self, accept: Callable[[Any, Pool, int, Any], bool], most: int = 100) -> None:
        self.pool = Pool(most)
        self.listener = gevent.socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        environ = {"wsgi.multiprocess": False}
        self.greenlets: list[Any] = []
        self.server = Server(
            self.listener,
            spawn=self.pool,
            handler_class=lambda listener, client, address: self.greenlets.append(client),
            environ=environ,
            accept=accept,
        )
        self.address = self.listener.getsockname()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=60)


class Occupied(Occupant):
    """A connection that has a place without a greenlet."""

    def __init__(self, pool: Pool) -> None:
        self.closed = False
        self._pool = pool
        pool.add(self, blocking=False)

    def close(self) -> None:
        self.closed = True
        self._pool.discard(self)


def test_a_connection_knows_the_address_of_a_listener_that_was_closed() -> None:
    served: list[Any] = []

    def accept(listener: Any, pool: Pool, client: int, address: Any) -> bool:
        listening.server.close()
        served.append((listener.getsockname(), listener.family))
        os.close(client)
        return True

    listening = Listening(accept)
    listening.server.max_accept = 1
    with listening.connect():
        listening.server.do_read()
    assert listening.listener.fileno() == -1
    assert served == [(listening.address, socket.AF_INET)]


def test_connections_are_accepted_until_there_is_no_place(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[Any] = []

    def accept(listener: Any, pool: Pool, client: int, address: Any) -> bool:
        assert not os.get_blocking(client)
        taken.append(client)
        if len(taken) == 1:
            raise ZeroDivisionError
        if len(taken) == 2:
            return False
        os.close(client)
        Occupied(pool)
        return True

    listening = Listening(accept, most=2)
    clients = [listening.connect() for _ in range(5)]
    accepted = listening.server.do_read()
    assert accepted is not None, "the second one needs a greenlet"
    assert accepted[0].fileno() == taken[1]
    assert "could not be served" in caplog.text
    assert clients[0].recv(1) == b"", "a connection that failed is closed"
    assert listening.server.do_read() is None
    assert len(taken) == 4
    assert listening.server.do_read() is None, "all places are taken"
    assert len(taken) == 4
    accepted[0].close()
    for client in clients:
        client.close()
    listening.server.close()


def test_a_worker_that_has_to_end_closes_the_connections_that_have_no_greenlet() -> None:
    pool = Pool(2)
    place = Occupied(pool)
    assert pool.free_count() == 1
    pool.kill(timeout=60)
    assert place.closed
    assert pool.free_count() == 2
