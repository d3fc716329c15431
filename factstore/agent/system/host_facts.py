"""Built-in facts of an instance: its addresses, its names and its operating system.

They are read from the kernel and from /etc/os-release, without external programs.  A fact that cannot
be determined is omitted.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import shlex
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Union

_SIOCGIFADDR = 0x8915
_UNUSABLE = 0x01 | 0x20 | 0x08 | 0x40  # temporary, deprecated, failed, tentative: net/if.h of Linux
_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
# Addresses that are reserved for documentation: their packets take the default route.
_REMOTE_ADDRESSES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_OS_FIELDS = ("ID", "VERSION_ID", "PRETTY_NAME")


def collect_host_facts(names: Iterable[str]) -> dict[str, Any]:
    """Return the built-in facts with these names, without those that cannot be determined."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            value = BUILTIN[name]()
            if value:
                found[name] = value
    return found


def boot_id() -> str:
    """Return the kernel's id of this boot; it changes with each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def hostname() -> str:
    """Return the host name of the instance."""
    return socket.gethostname()


def ip() -> str | None:
    """Return the source address of the default route, or None if no route exists."""
    for family, address in _REMOTE_ADDRESSES:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # a datagram socket only looks up the route
            return str(probe.getsockname()[0])
    return None


def addresses() -> dict[str, list[str]]:
    """Return all addresses by interface, without loopback, link-local and temporary ones."""
    found: dict[str, list[str]] = {}
    both: list[tuple[str, _Address]] = [*_ipv4_addresses(), *_ipv6_addresses()]
    for interface, address in both:
        if not (address.is_loopback or address.is_link_local):
            found.setdefault(interface, []).append(str(address))
    return {interface: sorted(texts) for interface, texts in sorted(found.items())}


def os_release() -> dict[str, str]:
    """Return the name and version of the operating system."""
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = Path("/usr/lib/os-release").read_text(encoding="utf-8", errors="replace")
    release = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # a quote that is not closed
            name, _, value = "".join(shlex.split(line, comments=True)).partition("=")
            release[name] = value
    return {name.lower(): release[name] for name in _OS_FIELDS if name in release}


BUILTIN: Mapping[str, Callable[[], Any]] = {
    "addresses": addresses,
    "boot_id": boot_id,
    "hostname": hostname,
    "ip": ip,
    "os": os_release,
}


def _ipv4_addresses() -> list[tuple[str, ipaddress.IPv4Address]]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            with contextlib.suppress(OSError):  # the interface has no IPv4 address
                request = struct.pack("256s", interface.encode()[:15])
                response = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                found.append((interface, ipaddress.IPv4Address(response[20:24])))
    return found


def _ipv6_addresses() -> list[tuple[str, ipaddress.IPv6Address]]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except FileNotFoundError:  # IPv6 is disabled in the kernel
        return []
    found = []
    for line in lines:
        digits, _, _, _, flags, interface = line.split()
        if not int(flags, 16) & _UNUSABLE:
            found.append((interface, ipaddress.IPv6Address(bytes.fromhex(digits))))
    return found
