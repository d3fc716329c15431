"""Servers of the lab, from their first files to their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Server(Protocol):
    """A server of the lab."""

    def start(self) -> None:
        """Create its files and start it."""

    def wait_ready(self) -> None:
        """Return once it serves."""

    def kill(self) -> None:
        """Kill it."""


S = TypeVar("S", bound=Server)


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Start a server, and kill it at the end: nobody needs its data."""
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.kill()
