"""Reads JSON, and keeps the positions.  Tabs, which YAML forbids, are allowed here."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import NoReturn

from factstore.migrate.nodes import Entry, Mapping, Node, NotReadable, Scalar, Sequence

_SPACE = {" ", "\t", "\n", "\r"}
_LITERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_DECODER = json.JSONDecoder()
_DEEPEST = 200


def is_json(text: str) -> bool:
    """Return whether a text is a JSON object, which Heat tries before YAML."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def parse_json(text: str) -> Node:
    """Return the document.

    :raises NotReadable: the text is not JSON or is nested too deeply.
    """
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]

    def document(self) -> Node:
        node = self._node(0)
        self._skip()
        if self._at < len(self._text):
            self._fail("more follows after the document")
        return node

    def _node(self, depth: int) -> Node:
        self._skip()
        start = self._at
        line = bisect_right(self._lines, start) - 1
        where = (start, start, line, start - self._lines[line])
        if depth > _DEEPEST:
            raise NotReadable("is nested too deeply", line + 1)
        head = self._text[start : start + 1]
        node: Node
        if head == "{":
            node = self._mapping(Mapping(*where, flow=True), depth)
        elif head == "[":
            node = self._sequence(Sequence(*where, flow=True), depth)
        elif head == '"':
            try:
                value, self._at = _DECODER.raw_decode(self._text, start)
            except ValueError as error:
                self._fail(str(error))
            node = Scalar(*where, value=value, style='"')
        else:
            found = _LITERAL.match(self._text, start)
            if found is None:
                self._fail("a value is missing")
            self._at = found.end()
            node = Scalar(*where, value=json.loads(found[0]))
        node.end = self._at
        return node

    def _mapping(self, node: Mapping, depth: int) -> Mapping:
        self._at += 1
        while not self._closes("}", bool(node.entries)):
            key = self._node(depth + 1)
            if not (isinstance(key, Scalar) and isinstance(key.value, str)):
                self._fail("a key is not a string")
            self._skip()
            if not self._text.startswith(":", self._at):
                self._fail("a colon is missing")
            self._at += 1
            node.entries.append(Entry(key, self._node(depth + 1)))
        return node

    def _sequence(self, node: Sequence, depth: int) -> Sequence:
        self._at += 1
        while not self._closes("]", bool(node.items)):
            node.items.append(self._node(depth + 1))
        return node

    def _closes(self, bracket: str, has_items: bool) -> bool:
        self._skip()
        if self._text.startswith(bracket, self._at):
            self._at += 1
            return True
        if has_items:
            if not self._text.startswith(",", self._at):
                self._fail("a comma is missing")
            self._at += 1
        return False

    def _skip(self) -> None:
        while self._text[self._at : self._at + 1] in _SPACE:
            self._at += 1

    def _fail(self, reason: str) -> NoReturn:
        raise NotReadable(f"is not JSON: {reason}", bisect_right(self._lines, self._at))
