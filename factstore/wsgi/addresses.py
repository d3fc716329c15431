"""Host names and addresses of this machine."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


def host_name(host: str) -> str:
    """Return the name or address of a ``Host`` header, without the port."""
    return host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]


def is_address(host: str) -> bool:
    """Return True if a host is an address, with or without brackets."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


@lru_cache(1024)
def is_loopback(address: str) -> bool:
    """Return True if an address is of the loopback interface, or empty as that of a Unix socket.

    Names have no case, and a dot at the end states only that a name is complete.
    """
    if address == "" or address.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
