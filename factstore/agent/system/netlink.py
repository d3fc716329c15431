"""Interfaces and their addresses, from the kernel by rtnetlink (see rtnetlink(7)).

ioctl() would return one IPv4 address of an interface and no kind; /sys may belong to another network
namespace than the process.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWADDR, _RTM_GETADDR = 16, 18, 20, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x01 | 0x300
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_INFO_KIND = 1, 3, 18, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_MAC_BYTES = 6
_RECEIVE_BYTES = 65536


@dataclass(frozen=True)
class Link:
    """An interface.

    :param kind: such as ``bridge``, ``vlan`` or ``bond``; empty for hardware and the loopback.
    :param mac: empty if it has none.
    :param flags: ``IFF_*``.
    """

    index: int
    name: str
    kind: str
    mac: str
    flags: int


@dataclass(frozen=True)
class LinkAddress:
    """An address of an interface.

    :param index: of the interface.
    :param scope: ``RT_SCOPE_*``.
    :param flags: ``IFA_F_*``.
    """

    index: int
    family: int
    address: bytes
    prefix_length: int
    scope: int
    flags: int


def read_links() -> list[Link]:
    """Return all interfaces, in the order of their indexes.

    :raises OSError: the kernel does not permit it.
    """
    found = []
    for body in _dump(_RTM_GETLINK, _RTM_NEWLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        _, _, index, flags, _ = _LINK.unpack_from(body)
        attributes = dict(_attributes(body[_LINK.size :]))
        mac = attributes.get(_IFLA_ADDRESS, b"")
        info = dict(_attributes(attributes.get(_IFLA_LINKINFO, b"")))
        found.append(
            Link(
                index,
                _text(attributes.get(_IFLA_IFNAME, b"")),
                _text(info.get(_IFLA_INFO_KIND, b"")),
                mac.hex(":") if len(mac) == _MAC_BYTES else "",
                flags,
            )
        )
    return sorted(found, key=lambda link: link.index)


def read_addresses() -> list[LinkAddress]:
    """Return all addresses of all interfaces, those of one interface from the oldest to the newest.

    :raises OSError: the kernel does not permit it.
    """
    found = []
    for body in _dump(_RTM_GETADDR, _RTM_NEWADDR, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        family, prefix_length, flags, scope, index = _ADDRESS.unpack_from(body)
        attributes = dict(_attributes(body[_ADDRESS.size :]))
        # Between two ends of a tunnel, IFA_ADDRESS is the other end.
        address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
        if address is None or family not in (socket.AF_INET, socket.AF_INET6):
            continue
        if _IFA_FLAGS in attributes:
            (flags,) = struct.unpack("=I", attributes[_IFA_FLAGS])
        found.append(LinkAddress(index, family, address, prefix_length, scope, flags))
    # The kernel keeps IPv6 addresses of one scope from the newest to the oldest.
    newest_first = [each for each in found if each.family == socket.AF_INET6]
    return [each for each in found if each.family == socket.AF_INET] + newest_first[::-1]


def _dump(request: int, response: int, body: bytes) -> Iterator[bytes]:
    """Yield the bodies of the messages that answer a request for all objects of a type."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(5.0)
        netlink.sendto(
            _HEADER.pack(_HEADER.size + len(body), request, _REQUEST_DUMP, 1, 0) + body, (0, 0)
        )
        while True:
            data = netlink.recv(_RECEIVE_BYTES)
            while len(data) >= _HEADER.size:
                length, kind, _, _, _ = _HEADER.unpack_from(data)
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR or length < _HEADER.size:
                    raise OSError("the kernel refused a netlink request")
                if kind == response:
                    yield data[_HEADER.size : length]
                data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")
