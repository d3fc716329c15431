"""Reads YAML as Heat does, and keeps the positions."""

from __future__ import annotations

from typing import Any

import yaml
from yaml import events

from factstore.migrate.nodes import Alias, Entry, Mapping, Node, NotReadable, Scalar, Sequence

_STRINGS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:str", "tag:yaml.org,2002:value")
_DEEPEST = 200
_LARGEST = 200_000
"""The most values in a template with all aliases expanded; aliases of aliases grow exponentially."""


class _Values(yaml.SafeLoader):
    """Resolves plain scalars by the rules of YAML 1.1, like Heat: ``on`` is true."""


def parse_yaml(text: str) -> Node | None:
    """Return the only document of a text; None if the text is empty.

    :raises NotReadable: the text is not YAML, has several documents, or is nested too deeply.
    """
    # The parser in C counts bytes, this one characters.
    try:
        loader: Any = _Values(text)
        return _Builder(loader).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(each for each in (error.context, error.problem) if each)
        raise NotReadable(f"is not YAML: {reason}", mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        raise NotReadable(f"is not YAML: {error}".replace("\n", " ")) from error
    except (ValueError, RecursionError) as error:
        raise NotReadable(f"is not YAML: {error}") from error


class _Builder:
    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._anchors: dict[str, Node] = {}
        self._sizes: dict[int, int] = {}

    def document(self) -> Node | None:
        loader = self._loader
        loader.get_event()
        if loader.check_event(events.StreamEndEvent):
            return None
        loader.get_event()
        root = self._node(0)
        loader.get_event()
        if not loader.check_event(events.StreamEndEvent):
            mark = loader.peek_event().start_mark
            raise NotReadable("has several YAML documents", mark.line + 1)
        return root

    def _node(self, depth: int) -> Node:
        event: Any = self._loader.get_event()
        start = event.start_mark
        where = (start.index, event.end_mark.index, start.line, start.column)
        if depth > _DEEPEST:
            raise NotReadable("is nested too deeply", start.line + 1)
        if isinstance(event, events.AliasEvent):
            if event.anchor not in self._anchors:
                raise NotReadable(
                    f"uses the alias *{event.anchor} without an anchor", start.line + 1
                )
            alias = Alias(*where, name=event.anchor, target=self._anchors[event.anchor])
            self._sizes[id(alias)] = self._sizes[id(alias.target)]
            return alias
        node: Node
        if isinstance(event, events.ScalarEvent):
            node = Scalar(*where, value=self._resolved(event), style=event.style or "")
        elif isinstance(event, events.SequenceStartEvent):
            node = self._sequence(where, bool(event.flow_style), depth)
        else:
            node = self._mapping(where, bool(event.flow_style), depth)
        node.tag, node.anchor = event.tag, event.anchor
        self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in node.children())
        if self._sizes[id(node)] > _LARGEST:
            raise NotReadable("is too large", start.line + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, where: tuple[int, int, int, int], flow: bool, depth: int) -> Sequence:
        node = Sequence(*where, flow=flow)
        while not self._loader.check_event(events.SequenceEndEvent):
            node.items.append(self._node(depth + 1))
        self._close(node, node.items)
        return node

    def _mapping(self, where: tuple[int, int, int, int], flow: bool, depth: int) -> Mapping:
        node = Mapping(*where, flow=flow)
        while not self._loader.check_event(events.MappingEndEvent):
            key = self._node(depth + 1)
            if not isinstance(key, Scalar):
                raise NotReadable("has a key that is not a scalar", key.line + 1)
            node.entries.append(Entry(key, self._node(depth + 1)))
        self._close(node, [entry.value for entry in node.entries])
        return node

    def _close(self, node: Mapping | Sequence, children: list[Node]) -> None:
        end = self._loader.get_event().end_mark.index
        # In block style, the parser's end lies behind the comments and blank lines that follow.
        node.end = end if node.flow or not children else children[-1].end

    def _resolved(self, event: Any) -> Any:
        loader = self._loader
        if event.tag is not None and not event.tag.startswith("tag:yaml.org,2002:"):
            return event.value
        tag = event.tag or loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag in _STRINGS:
            return event.value
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        if tag == "tag:yaml.org,2002:merge":
            return event.value
        return loader.construct_object(node, deep=True)
