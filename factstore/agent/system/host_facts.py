"""Built-in facts of an instance: its addresses, its names and its operating system.

They are read from the kernel and from /etc/os-release, without external programs.  A fact that cannot
be determined is omitted.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from factstore.agent.system.cloud_init import cloud
from factstore.agent.system.network import Network

_OS_FIELDS = ("ID", "VERSION_ID", "PRETTY_NAME")


class HostFacts:
    """Collects the built-in facts.

    :param service_address: returns the address of this machine on the last connection to the service.
    """

    def __init__(self, service_address: Callable[[], str | None] = lambda: None) -> None:
        self._service_address = service_address
        self._address: str | None = None

    def collect(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the built-in facts with these names, without those that cannot be determined."""
        network: Network | None = None
        found = {}
        for name in names:
            with contextlib.suppress(OSError):
                if name in OF_NETWORK:
                    network = network or self._network()
                    value = OF_NETWORK[name](network)
                else:
                    value = BUILTIN[name]()
                if value:
                    found[name] = value
        return found

    def _network(self) -> Network:
        """Return the network, seen from the service.

        With several ways to the service, its connections may alternate between two addresses.  The
        first one stays the address of this machine for as long as the machine has it.
        """
        network = Network(self._address)
        latest = self._service_address()
        if latest is not None and not network.has(self._address):
            self._address = latest.partition("%")[0]
            network = Network(self._address)
        return network


def boot_id() -> str:
    """Return the kernel's id of this boot; it changes with each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def hostname() -> str:
    """Return the host name of the instance."""
    return socket.gethostname()


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
    "boot_id": boot_id,
    "cloud": cloud,
    "hostname": hostname,
    "os": os_release,
}
OF_NETWORK: Mapping[str, Callable[[Network], Any]] = {
    "addresses": Network.stable_addresses,
    "interfaces": Network.interfaces,
    "ip": Network.ip,
}
NAMES = tuple(sorted({*BUILTIN, *OF_NETWORK}))
