"""The parts of a template's text: values, and where they are written.

A rewritten template must be the same text except for what is rewritten, and a parser that returns only
values has forgotten the text. These nodes keep the position of each value. Indexes count characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MERGE_KEY = "<<"


class NotReadable(Exception):
    """The text is neither YAML nor JSON.

    :param line: the number of the line with the fault, from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(eq=False)
class Node:
    """A value in the text.

    :ivar start: the index of its first character; of the key, for a mapping in block style.
    :ivar end: the index after its last character.
    :ivar line: the line on which it begins, from 0.
    :ivar tag: an explicit tag such as ``!GetAtt``; otherwise None.
    :ivar anchor: the name after ``&``.
    """

    start: int
    end: int
    line: int
    column: int
    tag: str | None = field(default=None, kw_only=True)
    anchor: str | None = field(default=None, kw_only=True)

    def children(self) -> Iterator[Node]:
        """Yield the nodes directly below this one."""
        return iter(())

    def walk(self) -> Iterator[Node]:
        """Yield this node and all nodes below it, once per occurrence in the text."""
        yield self
        for child in self.children():
            yield from child.walk()


@dataclass(eq=False)
class Scalar(Node):
    """A string, number, boolean or null.

    :ivar value: as Heat reads it: a date is a string.
    :ivar style: the quotation mark, ``|`` or ``>``; empty for a plain scalar.
    """

    value: Any = None
    style: str = ""


@dataclass(eq=False)
class Entry:
    """A key and its value."""

    key: Scalar
    value: Node


@dataclass(eq=False)
class Mapping(Node):
    """A mapping; equal keys are kept, of which the last one counts."""

    entries: list[Entry] = field(default_factory=list)
    flow: bool = False

    def children(self) -> Iterator[Node]:
        for entry in self.entries:
            yield entry.value

    def entry(self, name: str) -> Entry | None:
        """Return the entry with this key that counts."""
        return next((each for each in reversed(self.entries) if each.key.value == name), None)

    def get(self, name: str) -> Node | None:
        """Return the value with this key, without aliases."""
        entry = self.entry(name)
        return None if entry is None else target(entry.value)


@dataclass(eq=False)
class Sequence(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)
    flow: bool = False

    def children(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(eq=False)
class Alias(Node):
    """A reference to a node with an anchor, written ``*name``."""

    name: str = ""
    target: Node | None = None


def target(node: Node) -> Node:
    """Return the node that an alias refers to, or the node itself."""
    while isinstance(node, Alias) and node.target is not None:
        node = node.target
    return node


def deep(node: Node) -> Iterator[Node]:
    """Yield all nodes of a value, including those behind aliases."""
    node = target(node)
    yield node
    for child in node.children():
        yield from deep(child)


_SHORT = {"Ref", "Condition"}


def plain(node: Node) -> Any:
    """Return the value as Heat's or CloudFormation's parser would.

    ``!GetAtt a.b`` becomes ``{"Fn::GetAtt": ["a", "b"]}``.
    """
    node = target(node)
    value = _value(node)
    if node.tag is None or not node.tag.startswith("!") or node.tag == "!":
        return value
    name = node.tag[1:]
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in _SHORT else f"Fn::{name}": value}


def _value(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    merged: dict[Any, Any] = {}
    own: dict[Any, Any] = {}
    for entry in node.entries if isinstance(node, Mapping) else []:
        value = plain(entry.value)
        if entry.key.value == MERGE_KEY and not entry.key.style:
            # Earlier mappings take precedence over later ones, and own keys over all of them.
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    merged = {**each, **merged}
        else:
            own[entry.key.value] = value
    return {**merged, **own}
