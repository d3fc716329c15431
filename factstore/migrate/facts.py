"""Splits metadata into facts: those known ahead, and those that refer to what reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from factstore.migrate.edits import NotRewritable
from factstore.migrate.nodes import MERGE_KEY, Alias, Entry, Mapping, Node, deep, plain, target
from factstore.migrate.template import is_function

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}")
_DEEPEST = 16
_LONGEST = 512
_APART = {"results": "the context does not contain", "configs": "only its member may read"}


@dataclass(frozen=True, eq=False)
class Item:
    """A fact of a data bag, and the entry in the metadata that becomes it.

    :ivar path: the path of the fact, as segments.
    :ivar opened: the entries above it of which this is the first item.
    :ivar is_late: whether it belongs into an OS::FactStore::Facts.
    """

    path: tuple[str, ...]
    entry: Entry
    opened: tuple[Entry, ...]
    is_late: bool

    @property
    def value(self) -> Any:
        """The value, with functions as they are written."""
        return plain(self.entry.value)


IsLate = Callable[[Node], bool]


def split(metadata: Mapping, is_late: IsLate, dropped: Collection[Entry]) -> list[Item]:
    """Return the facts of which metadata consists.

    :param is_late: returns whether a value must be written after the bag's readers exist.
    :param dropped: entries that do not become facts.
    :raises NotRewritable: a key cannot be the path of a fact.
    """
    for entry in metadata.entries:
        _check(entry)
    return list(_items(metadata, (), (), is_late, dropped))


def _items(
    mapping: Mapping,
    above: tuple[str, ...],
    opened: tuple[Entry, ...],
    is_late: IsLate,
    dropped: Collection[Entry],
) -> Iterator[Item]:
    for entry in _counting(mapping):
        if any(entry is each for each in dropped):
            continue
        path = (*above, str(entry.key.value))
        value = entry.value
        if isinstance(value, Mapping) and _splits(value, path, is_late, dropped):
            inner = _items(value, path, (*opened, entry), is_late, dropped)
            for item in inner:
                yield item
                opened = ()
        else:
            yield Item(path, entry, opened, is_late(value))
            opened = ()


def _counting(mapping: Mapping) -> list[Entry]:
    """Return the entries without those that a later one with the same key replaces."""
    last = {entry.key.value: entry for entry in mapping.entries}
    return [entry for entry in mapping.entries if last[entry.key.value] is entry]


def _splits(
    value: Mapping, path: tuple[str, ...], is_late: IsLate, dropped: Collection[Entry]
) -> bool:
    """Return whether the entries of a value become facts of their own."""
    if not value.entries or is_function(value):
        return False
    below = {
        id(entry) for node in deep(value) if isinstance(node, Mapping) for entry in node.entries
    }
    holds_dropped = any(id(each) in below for each in dropped)
    if not holds_dropped and (not is_late(value) or _is_wholly_late(value, is_late)):
        return False
    fits = all(
        isinstance(entry.key.value, str)
        and _SEGMENT.fullmatch(entry.key.value)
        and entry.key.value != MERGE_KEY
        and plain(entry.value) is not None
        for entry in value.entries
    )
    if holds_dropped and not fits:
        raise NotRewritable(
            f"{'/'.join(path)} has keys that are not paths of facts", value.line + 1
        )
    # What is dropped is read by its own resource: an alias of it is replaced as well, or the result is
    # refused.
    is_free = value.anchor is None or holds_dropped
    return fits and is_free and len(path) < _DEEPEST and len("/".join(path)) < 256


def _is_wholly_late(value: Node, is_late: IsLate) -> bool:
    """Return whether all values below a late one are late, too."""
    if not isinstance(value, Mapping) or not value.entries or is_function(value):
        return is_late(value)
    return all(_is_wholly_late(entry.value, is_late) for entry in _counting(value))


def _check(entry: Entry) -> None:
    key = entry.key.value
    if key == MERGE_KEY:
        raise NotRewritable("the metadata have a YAML merge key, <<", entry.key.line + 1)
    if not isinstance(key, str) or not _SEGMENT.fullmatch(key):
        raise NotRewritable(
            f"the key {key!r} is not the path of a fact: a path begins with a letter, a digit or '_' "
            "and continues with letters, digits and '_.:@-'",
            entry.key.line + 1,
        )
    if key in _APART:
        raise NotRewritable(
            f"the key {key!r} is the name of a folder that {_APART[key]}", entry.key.line + 1
        )
    if isinstance(entry.value, Alias) and target(entry.value) is None:
        raise NotRewritable(f"the alias of {key!r} has no anchor", entry.key.line + 1)


def nested(facts: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return values by path as one document, like a context."""
    document: dict[str, Any] = {}
    for path, value in facts.items():
        folder = document
        for segment in path[:-1]:
            folder = folder.setdefault(segment, {})
        folder[path[-1]] = value
    return document
