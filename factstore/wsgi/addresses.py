"""Host names and addresses of this machine."""

from __future__ import annotations

import ipaddress


def host_name(host: str) -> str:
    """Return the name or address of a ``Host`` header, without the port, in lower case.

    A dot at the end of a name states only that the name is complete.
    """
    name = host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]
    return name.lower() if name == "." else name.lower().removesuffix(".")


def is_loopback(address: str) -> bool:
    """Return True if an address is of the loopback interface, or empty as that of a Unix socket."""
    if address in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
