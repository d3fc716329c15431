"""Renders the texts in a template as an instance gets them, with the line of each part.

A script is often in parts: joined, with markers, or in a file.  What is known before the stack exists
is put together; anything else is a gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from factstore.migrate.nodes import Mapping as MappingNode
from factstore.migrate.nodes import Node, Scalar, Sequence, plain, target
from factstore.migrate.template import Template, is_function

_GAP = "\0"
_SUBSTITUTED = re.compile(r"\$\{([^!][^}]*)\}")

ReadFile = Callable[[str], str | None]


@dataclass(frozen=True)
class Part:
    """A part of a text, on one line of the template.

    :ivar line: the line in the template, from 1.
    :ivar file: the file that contains it, and the line there; empty for the template itself.
    """

    text: str
    line: int
    file: str = ""


class Texts:
    """Renders the texts of one template.

    :param changed: other texts for parts that are rewritten, by the identity of their node.
    :param read_file: returns the text of a file that the template names; None if it cannot.
    """

    def __init__(
        self, template: Template, changed: Mapping[int, str], read_file: ReadFile | None
    ) -> None:
        self._template = template
        self._changed = changed
        self._read_file = read_file
        self._defaults = _defaults(template)
        self.unread: dict[int, tuple[str, int]] = {}
        """The files that could not be read, and the line on which the template names them."""

    def below(self, node: Node) -> Iterator[list[Part]]:
        """Yield the outermost texts in a value."""
        node = target(node)
        if isinstance(node, Scalar) or is_function(node):
            yield list(self._parts(node))
        else:
            for child in node.children():
                yield from self.below(child)

    def _parts(self, node: Node) -> Iterator[Part]:
        node = target(node)
        if id(node) in self._changed:
            yield from _lines(self._changed[id(node)], node)
        elif is_function(node):
            yield from self._called(node)
        elif isinstance(node, Scalar):
            yield from _lines(node.value if isinstance(node.value, str) else "", node)
        else:
            for child in node.children():
                yield from self._parts(child)
                yield Part("\n", child.line + 1)

    def _called(self, node: Node) -> Iterator[Part]:
        if isinstance(node, MappingNode) and node.entries:
            name, given = str(node.entries[0].key.value), target(node.entries[0].value)
        else:
            name = str(node.tag)
            name, given = (name[1:] if name == "!Ref" else f"Fn::{name[1:]}"), node
        value = given.value if isinstance(given, Scalar) else None
        if name in ("Ref", "get_resource", "get_param"):
            yield Part(self._named(value), node.line + 1)
        elif name == "get_file":
            yield from self._file(str(value), node)
        elif name in ("get_attr", "Fn::GetAtt"):
            yield Part(_GAP, node.line + 1)
        elif name in ("Fn::Join", "list_join") and isinstance(given, Sequence):
            yield from self._joined(given)
        elif name.startswith(("str_replace", "Fn::Replace")):
            yield from self._replaced(given)
        elif name == "Fn::Sub":
            yield from self._substituted(given)
        else:
            for child in given.children() if given.tag is None or given is not node else ():
                yield from self._parts(child)
                yield Part("\n", child.line + 1)

    def _named(self, name: object) -> str:
        """Return the name of a resource, or the default of a parameter."""
        if isinstance(name, str) and name in self._template.resources:
            return name
        return self._defaults.get(str(name), _GAP)

    def _file(self, name: str, node: Node) -> Iterator[Part]:
        text = None if self._read_file is None else self._read_file(name)
        line = node.line + 1
        if text is None:
            self.unread[id(node)] = (name, line)
            text = _GAP
        for number, each in enumerate(text.splitlines(keepends=True), 1):
            yield Part(each, line, f"{name}, line {number}")

    def _joined(self, given: Sequence) -> Iterator[Part]:
        glue = plain(given.items[0]) if given.items else ""
        joined = False
        for each in given.items[1:]:
            each = target(each)
            is_list = isinstance(each, Sequence) and not is_function(each)
            for item in each.children() if is_list else [each]:
                if joined and isinstance(glue, str) and glue:
                    yield Part(glue, item.line + 1)
                joined = True
                yield from self._parts(item)

    def _replaced(self, given: Node) -> Iterator[Part]:
        script = given.get("template") if isinstance(given, MappingNode) else None
        params = given.get("params") if isinstance(given, MappingNode) else None
        if script is None:
            return
        values = self._values(params)
        markers = sorted(values, key=len, reverse=True)
        pattern = re.compile(f"({'|'.join(map(re.escape, markers))})" if markers else r"(?!)")
        for part in self._parts(script):
            for piece in pattern.split(part.text):
                if piece in values:
                    yield from values[piece]
                elif piece:
                    yield replace(part, text=piece)

    def _values(self, params: Node | None) -> dict[str, list[Part]]:
        entries = params.entries if isinstance(params, MappingNode) else []
        return {
            str(entry.key.value): list(self._parts(entry.value))
            for entry in entries
            if str(entry.key.value)
        }

    def _substituted(self, given: Node) -> Iterator[Part]:
        values: dict[str, list[Part]] = {}
        if isinstance(given, Sequence) and given.items:
            values = self._values(target(given.items[1])) if len(given.items) > 1 else {}
            given = target(given.items[0])
        if not isinstance(given, Scalar):
            return
        for part in _lines(str(given.value), given):
            for index, piece in enumerate(_SUBSTITUTED.split(part.text)):
                if index % 2 and piece in values:
                    yield from values[piece]
                else:
                    yield replace(part, text=self._named(piece) if index % 2 else piece)


def _defaults(template: Template) -> dict[str, str]:
    section = template.root.get(template.words.parameters)
    found = {}
    for entry in section.entries if isinstance(section, MappingNode) else []:
        definition = plain(entry.value)
        if isinstance(definition, dict):
            value = definition.get("default", definition.get("Default"))
            if isinstance(value, str):
                found[str(entry.key.value)] = value
    return found


def _lines(text: str, node: Node) -> Iterator[Part]:
    is_block = isinstance(node, Scalar) and node.style == "|"  # other texts have other lines
    for number, each in enumerate(text.splitlines(keepends=True)):
        yield Part(each, node.line + 2 + number if is_block else node.line + 1)
