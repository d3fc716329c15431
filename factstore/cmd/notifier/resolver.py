"""Resolves names in gevent's loop.

gevent's default resolver has ten threads for all names, so ten slow name servers would delay the
deliveries to all other targets.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

import gevent

SETTINGS = ("/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf")
"""The files that c-ares reads only when a resolver is created. It follows changes of ``/etc/hosts``."""


class LoopResolver:
    """Resolves with c-ares, which reads the same files as the system's resolver."""

    def __init__(self) -> None:
        self._settings = _versions()
        self._resolver = _new_resolver()

    def __call__(self, host: str, port: int, seconds: float) -> Sequence[str]:
        """Return the addresses of a host. Raises OSError."""
        self._follow_settings()
        with gevent.Timeout(seconds, OSError("timed out")):
            found = self._resolver.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _follow_settings(self) -> None:
        """Use other name servers once a host that has moved names them."""
        settings = _versions()
        if settings != self._settings:
            # The former resolver is closed when the last search that uses it has ended.
            self._settings, self._resolver = settings, _new_resolver()


def _new_resolver() -> Any:
    from gevent.resolver.ares import Resolver

    class ClosingResolver(Resolver):  # type: ignore[misc,unused-ignore]
        def __del__(self) -> None:
            self.close()

    return ClosingResolver()


def _versions() -> list[tuple[int, int, int] | None]:
    """Return what differs once a file of the settings was written or replaced."""
    versions: list[tuple[int, int, int] | None] = []
    for name in SETTINGS:
        try:
            found = os.stat(name)
        except OSError:
            versions.append(None)
        else:
            versions.append((found.st_ino, found.st_mtime_ns, found.st_size))
    return versions
