"""The addresses to which messages may be sent: global ones, and those that the operator allows.

A target must not be able to make the service send requests into the operator's own networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_UNICAST = IPv6Network("2000::/3")
"""All global unicast addresses that are assigned; Python counts many others as global."""
_NOT_GLOBAL = (IPv6Network("2002::/16"), IPv6Network("3fff::/20"))
"""Those among them for 6to4, which RFC 7526 deprecates, and for documentation (RFC 9637).

Versions of Python differ in whether these are global.
"""
_ISATAP = (0x00005EFE, 0x02005EFE)


class AddressRules:
    """The rules of one installation.

    :param allow_cidrs: networks that are allowed although they are not global, in CIDR notation.
    :raises ValueError: one is not a network.
    """

    def __init__(self, allow_cidrs: Iterable[str] = ()) -> None:
        self._allowed: tuple[Network, ...] = tuple([ip_network(cidr) for cidr in allow_cidrs])

    def refusal(self, address: str) -> str | None:
        """Return why no message may be sent to an address; None if it may.

        An IPv6 address that contains an IPv4 address is judged by both.

        :param address: as ``getaddrinfo`` returns it.
        """
        try:
            found = ip_address(address)
        except ValueError:
            return "it is not an IP address"
        if any(found in network for network in self._allowed):
            return None
        for each in _contained(found):
            if not any(each in network for network in self._allowed) and not _is_public(each):
                return "it is not a global address"
        return None


def _contained(address: Address) -> tuple[Address, ...]:
    """Return the addresses that packets to an address may reach: itself, or those in it."""
    if not isinstance(address, IPv6Address):
        return (address,)
    if address.scope_id is not None:
        return (IPv6Address("::1"),)  # a zone is that of a local network
    mapped = address.ipv4_mapped
    if mapped is not None:
        return (mapped,)
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64[0]:
        return (last,)
    if address in _NAT64[1] or address in _COMPATIBLE:
        return (address, last)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return (address, last)
    if address.teredo is not None:
        return (address, *address.teredo)
    return (address,)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (
        address not in _UNICAST or any(address in network for network in _NOT_GLOBAL)
    ):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )
