"""Patterns of paths as a tree of segments.

A lookup costs about as much as the path has segments, and not a test of each pattern.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Generic, TypeVar

from factstore.core.model.quick_dataclass import quick_dataclass

T = TypeVar("T")

STAR = "*"  # it stands for one segment


@quick_dataclass(slots=True, eq=False)
class _Node(Generic[T]):
    children: dict[str, _Node[T]] = field(default_factory=dict)
    values: list[T] = field(default_factory=list)


class PatternTree(Generic[T]):
    """Values by patterns.

    :ivar firsts: by the first segments of the patterns; empty if there is no value.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self.firsts: Mapping[str, object] = self._root.children

    def add(self, pattern: str, value: T) -> None:
        """Add a value to a pattern."""
        node = self._root
        for segment in pattern.split("/"):
            node = node.children.setdefault(segment, _Node())
        node.values.append(value)

    def remove(self, pattern: str, value: T) -> None:
        """Remove a value that was added to a pattern."""
        segments = pattern.split("/")
        nodes = [self._root]
        for segment in segments:
            nodes.append(nodes[-1].children[segment])
        nodes[-1].values.remove(value)
        for parent, segment in zip(nodes[-2::-1], reversed(segments), strict=True):
            node = parent.children[segment]
            if node.children or node.values:
                return
            del parent.children[segment]

    def matching(self, path: str) -> list[T]:
        """Return the values of all patterns that match a path."""
        nodes = [self._root]
        for segment in path.split("/"):
            nodes = _below(nodes, segment)
            if not nodes:
                return []
        return [value for node in nodes for value in node.values]

    def all_matching(self, paths: Iterable[str]) -> Iterator[tuple[str, list[T]]]:
        """Yield each path that any pattern matches, with the values of the patterns that do."""
        folders: dict[str, list[_Node[T]]] = {"": [self._root]}
        for path in paths:
            folder, _, name = path.rpartition("/")
            found = _below(_nodes(folders, folder), name)
            values = [value for node in found for value in node.values]
            if values:
                yield path, values


def _below(nodes: Iterable[_Node[T]], segment: str) -> list[_Node[T]]:
    found = []
    for node in nodes:
        children = node.children
        if segment in children:
            found.append(children[segment])
        if STAR in children:
            found.append(children[STAR])
    return found


def _nodes(folders: dict[str, list[_Node[T]]], folder: str) -> list[_Node[T]]:
    """Return the nodes that match a folder, and store them for the next path in it."""
    found = folders.get(folder)
    if found is None:
        above, _, name = folder.rpartition("/")
        found = folders[folder] = _below(_nodes(folders, above), name)
    return found


def overlap(pattern: str, other: str) -> bool:
    """Return True if a path can match both patterns."""
    mine, others = pattern.split("/"), other.split("/")
    return len(mine) == len(others) and all(
        a in (b, STAR) or b == STAR for a, b in zip(mine, others, strict=True)
    )
