"""This machine: the ids that a copy of it does not share, and its id in the cloud."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_MEMBER_NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}")
_UNNAMED = frozenset(
    {
        *("", "(none)", "localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"),
        *("debian", "fedora", "ubuntu"),
    }
)
"""First parts of host names that machines have before they get their own."""


class Machine:
    """The machine as its files describe it.  They are read at each call.

    :param root: the directory that stands for ``/``.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def ids(self) -> dict[str, str]:
        """Return the ids that a copy of the machine does not share, as far as they are known.

        Images often have the machine id of the machine that they were made from.  The id of the system
        is given by the hypervisor or the firmware.
        """
        machine, system = self._text("etc/machine-id"), self._system_uuid()
        found = {"machine_id": machine if _MACHINE_ID.fullmatch(machine) else "", "system": system}
        return {name: value for name, value in found.items() if value}

    def boot_id(self) -> str:
        """Return the kernel's id of this boot; empty if it is not known."""
        return self._text("proc/sys/kernel/random/boot_id")

    def instance_ids(self) -> list[str]:
        """Return the ids that Heat or Nova may have for this instance, the most specific first.

        The first is the server's metadata ``factstore_instance_id``.  The others are Nova's, from
        cloud-init or the firmware.
        """
        data = self._cloud_init()
        meta_data = _mapping(_mapping(data.get("ds")).get("meta_data"))
        told = _mapping(meta_data.get("meta")).get("factstore_instance_id")
        ids = [told] if isinstance(told, str) and told else []
        found = (meta_data.get("uuid"), _mapping(data.get("v1")).get("instance_id"))
        for each in (*found, self._system_uuid()):
            # Other clouds have ids such as "i-0c1d", and images "nocloud", which are not unique.
            text = each.lower() if isinstance(each, str) else ""
            if _UUID.fullmatch(text) and text not in ids:
                ids.append(text)
        return ids

    def _system_uuid(self) -> str:
        text = self._text("sys/class/dmi/id/product_uuid").lower()
        return text if _UUID.fullmatch(text) and len(set(text)) > 2 else ""  # all zeros, or all f

    def _cloud_init(self) -> dict[str, Any]:
        try:
            return _mapping(json.loads(self._text("run/cloud-init/instance-data.json") or "{}"))
        except ValueError:
            return {}

    def _text(self, path: str) -> str:
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # missing, or for root only
            return ""


def full_host_name() -> str:
    """Return the host name; empty while it is that of the image, or cannot be a member's name."""
    name = socket.gethostname()
    return "" if nameless_reason(name) else name


def nameless_reason(name: str) -> str:
    """Return the reason why a host name names no member; empty if it can name one."""
    short = name.partition(".")[0]
    if short.lower() in _UNNAMED:
        return "The host has no name of its own yet"
    if not _MEMBER_NAME.fullmatch(short):
        return (
            f"The host name {name!r} cannot be the name of a member, which has letters from A to Z,"
            " digits and '_.:@-' and does not begin with '-'"
        )
    return ""


def host_name_for(name: str) -> str:
    """Return the host name that Nova gives to a server of that name."""
    latin = name.encode("latin-1", "ignore").decode("latin-1")[:63]
    return re.sub(r"[^\w.-]+", "", re.sub(r"[_\s]", "-", latin)).lower().strip(".-")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
