"""Resolves names in gevent's loop.

gevent's default resolver has ten threads for all names, so ten slow name servers would delay the
deliveries to all other targets.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import gevent


class LoopResolver:
    """Resolves with c-ares, which reads the same files as the system's resolver."""

    def __init__(self) -> None:
        from gevent.resolver.ares import Resolver

        self._resolver: Any = Resolver()

    def __call__(self, host: str, port: int, seconds: float) -> Sequence[str]:
        """Return the addresses of a host. Raises OSError."""
        with gevent.Timeout(seconds, OSError("timed out")):
            found = self._resolver.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
