"""Reads context documents with arbitrary facts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

NODES = "nodes"
"""The folder that contains a folder of facts for each node."""


def leaves(folder: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values below a folder with their paths."""
    # A context does not distinguish folders from facts whose values are objects; both are expanded.
    for name, child in folder.items():
        path = f"{above}/{name}" if above else name
        if isinstance(child, dict) and child:
            yield from leaves(child, path)
        else:
            yield path, child


def folder(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the folder with this name; empty if it does not exist or is not a folder."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def nodes(document: Document) -> Mapping[str, Any]:
    """Return the facts below ``nodes`` by the name of the node."""
    return folder(document["facts"], NODES)


def address_of(node: Any) -> str | None:
    """Return the normalized address in a node's fact ``ip``; None if it is not an address."""
    value = node.get("ip") if isinstance(node, dict) else None
    return str(ipaddress.ip_address(str(value))) if is_address(value) else None


def is_address(value: Any) -> bool:
    """Return True for the text of an IP address without a zone."""
    # The zone of an IPv6 address, after the %, can be any text and is meaningless on other hosts.
    if not isinstance(value, str) or "%" in value:
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def masked(document: Document) -> Mapping[str, Any]:
    """Return the sensitive facts by path; their values in the document may be null."""
    return folder(document, "sensitive")
