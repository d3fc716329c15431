"""Facts that every instance can tell of itself: where it is reached, and what it is.

They come from the kernel and /etc/os-release, without a program or a library.  What cannot be found
out is left out.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import platform
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

_SIOCGIFADDR = 0x8915
_UNUSABLE = 0x01 | 0x20 | 0x08 | 0x40  # temporary, deprecated, failed, tentative: net/if.h of Linux
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_OS = ("ID", "VERSION_ID", "PRETTY_NAME")


def collect(names: Iterable[str]) -> dict[str, Any]:
    """The built-in facts of these names, as far as they can be found out."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            value = BUILTIN[name]()
            if value:
                found[name] = value
    return found


def boot_id() -> str:
    """Another one after each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def hostname() -> str:
    """The name that the instance has."""
    return socket.gethostname()


def ip() -> str | None:
    """The address from which this instance reaches others; nothing is sent."""
    for family, address in _ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    return None


def addresses() -> dict[str, list[str]]:
    """All addresses by interface, without loopback, link-local and temporary ones."""
    found: dict[str, list[str]] = {}
    both: list[tuple[str, _Address]] = [*_version_4(), *_version_6()]
    for interface, address in both:
        if not (address.is_loopback or address.is_link_local):
            found.setdefault(interface, []).append(str(address))
    return {interface: sorted(each) for interface, each in sorted(found.items())}


def os_release() -> dict[str, str]:
    """Which system it is."""
    release = platform.freedesktop_os_release()
    return {name.lower(): release[name] for name in _OS if name in release}


BUILTIN: Mapping[str, Callable[[], Any]] = {
    "addresses": addresses,
    "boot_id": boot_id,
    "hostname": hostname,
    "ip": ip,
    "os": os_release,
}


def _version_4() -> list[tuple[str, ipaddress.IPv4Address]]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, interface in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has none
                wanted = struct.pack("256s", interface.encode()[:15])
                told = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, wanted)
                found.append((interface, ipaddress.IPv4Address(told[20:24])))
    return found


def _version_6() -> list[tuple[str, ipaddress.IPv6Address]]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except FileNotFoundError:  # the kernel does without
        return []
    found = []
    for line in lines:
        digits, _, _, _, flags, interface = line.split()
        if not int(flags, 16) & _UNUSABLE:
            found.append((interface, ipaddress.IPv6Address(bytes.fromhex(digits))))
    return found
