"""The server in a URL."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """A server: scheme, host and port.

    :param host: a name or an address without brackets; the zone of a link-local address follows ``%``.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Return the server in a URL, without user and password.

        :raises ValueError: the URL has no server or no valid port.
        """
        scheme, separator, rest = url.partition("://")
        return _parsed(f"{scheme}{separator}{rest.partition('/')[0]}")

    @property
    def host_header(self) -> str:
        """The value of the Host header.  Zones are of this machine only and are left out."""
        host = self.bare_host
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Host and port, for tunnels."""
        host = f"[{self.bare_host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def bare_host(self) -> str:
        """The host without the zone of its address."""
        return self.host.partition("%")[0]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@lru_cache  # a program has few servers, and sends each of them many requests
def _parsed(server: str) -> Origin:
    parts = urlsplit(server)
    if parts.scheme not in _PORTS or not parts.hostname or parts.port == 0:
        raise ValueError("the URL names no server")
    host, _, zone = parts.hostname.partition("%")
    if zone:
        # RFC 6874 writes % as %25 in URLs.  Names of interfaces have capitals: hostname has not.
        _, _, zone = parts.netloc.rpartition("@")[2].partition("%")
        zone = zone.partition("]")[0]
        zone = zone[2:] if zone.startswith("25") and len(zone) > 2 else zone
        host = f"{host}%{zone}"
    elif ":" not in host and not host.isascii():
        host = host.encode("idna").decode()
    return Origin(parts.scheme, host, parts.port or _PORTS[parts.scheme])
