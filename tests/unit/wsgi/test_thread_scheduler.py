"""Threads that wait for a change, with and without a server that provides their connection."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from factstore.wsgi import scheduler
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.scheduler import ThreadScheduler


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The client of a request that uWSGI serves in this thread."""
    mine, its = socket.socketpair()
    with mine, its:
        uwsgi = SimpleNamespace(connection_fd=mine.fileno)
        monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)  # type: ignore[arg-type]
        monkeypatch.setattr(scheduler, "CHECK_SECONDS", 0.01)
        yield its


def test_a_thread_that_waits_for_a_change_notices_that_its_client_has_gone(
    client: socket.socket,
) -> None:
    change = ThreadScheduler().new_change_wake_up()
    client.send(b"the next request")
    assert not change.wait(0.05)
    client.close()
    with pytest.raises(ClientGone):
        change.wait(60)
    change.set()
    assert change.wait(60)


def test_a_thread_that_waits_for_another_event_does_not_notice_it(client: socket.socket) -> None:
    client.close()
    assert not ThreadScheduler().new_wake_up().wait(0.05)


def test_a_server_that_provides_no_connection_waits_until_the_end() -> None:
    assert not ThreadScheduler().new_change_wake_up().wait(0.01)
