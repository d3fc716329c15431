"""Reads context documents with arbitrary facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from factstore.scrape_targets import parsed_address

Document = Mapping[str, Any]

Omit = Callable[[str, str], None]
"""Is called with a fact, member or group that a format cannot represent, and the reason."""

NODES = "nodes"
"""The folder that contains a folder of facts for each node."""


def ignore(name: str, reason: str) -> None:
    """Do not report what is left out."""


def apart(names: Iterable[str], spell: Callable[[str], str], omit: Omit) -> dict[str, str]:
    """Return the spelling of each name, without names that would have the spelling of another.

    A name that is spelled as it is keeps its spelling.
    """
    spelled = {name: spell(name) for name in names}
    count = Counter(spelled.values())
    kept = {}
    for name, spelling in spelled.items():
        if count[spelling] == 1 or name == spelling:
            kept[name] = spelling
        else:
            omit(name, f"would be the same as another one: {spelling}")
    return kept


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


def address_of(node: Any, path: str = "ip") -> str | None:
    """Return the normalized address in a node's fact at *path*; None if it is not an address."""
    address = parsed_address(_value_at(node, path))
    return str(address) if address is not None else None


def is_address(value: Any) -> bool:
    """Return True for the text of an IP address without a zone."""
    return parsed_address(value) is not None


def _value_at(node: Any, path: str) -> Any:
    for segment in path.split("/"):
        node = node.get(segment) if isinstance(node, dict) else None
    return node


def report_no_address(document: Document, name: str, omit: Omit, below: str = "ip") -> None:
    """Report the fact of a node at *below*, if there is one, because it is not an address."""
    path = f"{NODES}/{name}/{below}"
    *above, last = below.split("/")
    holder = _value_at(nodes(document), "/".join([name, *above]))
    if isinstance(holder, dict) and last in holder:
        sealed = holder[last] is None and path in masked(document)
        omit(path, "is sealed" if sealed else "is not an address")


def masked(document: Document) -> Mapping[str, Any]:
    """Return the sensitive facts by path; their values in the document may be null."""
    return folder(document, "sensitive")
