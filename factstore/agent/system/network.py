"""The network of an instance: its addresses, and the one from which other hosts are reached."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Union

from factstore.agent.system.netlink import Link, LinkAddress, read_addresses, read_links

MOST_ADDRESSES = 16
"""Addresses of one interface that are returned; load balancers have thousands on one."""

_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_TEMPORARY, _FAILED, _DEPRECATED, _TENTATIVE, _OPTIMISTIC = 0x01, 0x08, 0x20, 0x40, 0x04
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}
# Kinds of interfaces that reach the outside by themselves; veth is that of a container.
_HARDWARE = ("", "bond", "ipvlan", "macvlan", "team", "veth", "vlan")
# Addresses that are reserved for documentation: their packets take the default route.
_REMOTE_ADDRESSES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_IpAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class Address:
    """A usable address of the instance that is not a loopback address.

    :param kind: ``primary``, ``secondary``, or of IPv6 ``temporary`` or ``deprecated``.
    :param order: the lower, the better other hosts can use it.
    """

    interface: Link
    address: _IpAddress
    prefix_length: int
    scope: str
    kind: str
    order: tuple[int, ...]

    @property
    def is_stable(self) -> bool:
        """True unless the address is of one link only or about to end."""
        return self.scope != "link" and self.kind in ("primary", "secondary")


class Network:
    """The addresses at one moment.

    :param service_address: the address from which the service is reached, or None.
    """

    def __init__(self, service_address: str | None = None) -> None:
        sources = [_source(family, address) for family, address in _REMOTE_ADDRESSES]
        self._default = [each for each in sources if each]
        self._service = service_address
        try:
            self.addresses = sorted(_read(self._rank), key=lambda each: each.order)
        except OSError:  # sandboxes forbid netlink
            self.addresses = []

    def has(self, address: str | None) -> bool:
        """Return True if an address is one of this machine."""
        return any(str(each.address) == address for each in self.addresses)

    def ip(self) -> str | None:
        """Return the address by which other hosts reach this one, or None if it has none."""
        for each in self.addresses:
            # A link-local address of IPv6 needs a zone, which differs on other hosts.
            if each.scope != "link" or each.address.version == 4:
                return str(each.address)
        return None if self.addresses else next(iter(self._default), None)

    def stable_addresses(self) -> dict[str, list[str]]:
        """Return the addresses by interface, without link-local, temporary and deprecated ones."""
        found: dict[str, list[str]] = {}
        for each in self.addresses:
            texts = found.setdefault(each.interface.name, []) if each.is_stable else []
            if len(texts) < MOST_ADDRESSES:
                texts.append(str(each.address))
        return dict(sorted(found.items()))

    def interfaces(self) -> dict[str, Any]:
        """Return all interfaces that have an address other than a link-local one, with all addresses.

        Those of containers and virtual machines have link-local ones only, and there are many.
        """
        found: dict[str, Any] = {}
        wider = {each.interface for each in self.addresses if each.scope != "link"}
        for each in self.addresses:
            link = each.interface
            if link not in wider and wider:
                continue
            described = found.setdefault(link.name, {"kind": link.kind or "physical"})
            if link.mac:
                described["mac"] = link.mac
            described.setdefault("addresses", [])
            if len(described["addresses"]) < MOST_ADDRESSES:
                described["addresses"].append(self._described(each))
        return dict(sorted(found.items()))

    def _described(self, each: Address) -> dict[str, Any]:
        text = str(each.address)
        return {
            "address": text,
            "prefix_length": each.prefix_length,
            "family": f"ipv{each.address.version}",
            "scope": each.scope,
            "kind": each.kind,
            "default_route": text in self._default,
            "service_route": text == self._service,
        }

    def _rank(self, link: Link, address: _IpAddress, scope: str, kind: str) -> tuple[int, ...]:
        text = str(address)
        return (
            scope == "link",
            kind not in ("primary", "secondary"),
            text != self._service,
            text not in self._default,
            bool(link.flags & _IFF_LOOPBACK),
            not link.flags & _IFF_UP,
            link.kind not in _HARDWARE,
            address.version,
            link.index,
            kind != "primary",
        )


def _read(rank: Any) -> Iterator[Address]:
    links = {link.index: link for link in read_links()}
    seen: set[tuple[int, int]] = set()
    for order, each in enumerate(read_addresses()):
        link = links.get(each.index)
        address = ipaddress.ip_address(each.address)
        if link is None or (link.flags & _IFF_LOOPBACK and address.is_loopback):
            continue
        if each.flags & (_FAILED | _TENTATIVE) and not each.flags & _OPTIMISTIC:
            continue
        scope = "link" if address.is_link_local else _SCOPES.get(each.scope, "global")
        kind = _kind(each, scope, seen)
        yield Address(
            link,
            address,
            each.prefix_length,
            scope,
            kind,
            (*rank(link, address, scope, kind), order),
        )


def _kind(each: LinkAddress, scope: str, seen: set[tuple[int, int]]) -> str:
    if each.family == socket.AF_INET6:
        if each.flags & _DEPRECATED:
            return "deprecated"
        if each.flags & _TEMPORARY:
            return "temporary"
    first = (each.index, each.family)
    if scope == "link" or first not in seen:
        if scope != "link":
            seen.add(first)
        return "primary"
    return "secondary"


def _source(family: int, address: str) -> str | None:
    """Return the source address of packets to an address, or None if there is no route."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # a datagram socket only looks up the route
        return str(probe.getsockname()[0])
    return None
