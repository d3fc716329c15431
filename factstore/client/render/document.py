"""Reading a context's document, whatever the facts in it are."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

NODES = "nodes"
"""The folder with a folder of facts for each node."""


def leaves(folder: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values below a folder, by path.

    A context does not tell a folder from a fact whose value is an object; here both are opened.
    """
    for name, child in folder.items():
        path = f"{above}/{name}" if above else name
        if isinstance(child, dict) and child:
            yield from leaves(child, path)
        else:
            yield path, child


def folder(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What lies below a name; nothing if that is no folder, or not there."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def nodes(document: Document) -> Mapping[str, Any]:
    """The facts below ``nodes``, by the names of nodes."""
    return folder(document["facts"], NODES)


def address_of(node: Any) -> str | None:
    """The address in a node's fact ``ip``, spelled as it is usual; None if it holds none."""
    value = node.get("ip") if isinstance(node, dict) else None
    # The zone of an IPv6 address, after the %, may be any text, and means nothing elsewhere.
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return None


def masked(document: Document) -> Mapping[str, Any]:
    """The sensitive facts by path: their values stand as null where they are not for this reader."""
    return folder(document, "sensitive")
