"""Which addresses are this machine's own."""

from __future__ import annotations

import ipaddress


def name_of(host: str) -> str:
    """The name or address in a ``Host`` header, without its port."""
    return host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]


def is_loopback(address: str) -> bool:
    """Whether an address is this machine talking to itself; a Unix socket has none, and is."""
    if address in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
