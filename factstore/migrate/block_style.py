"""Writes data bags and what belongs to them as YAML blocks, from the lines of the metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from factstore.migrate.edits import Edit, Lines, shift
from factstore.migrate.facts import Item
from factstore.migrate.functions import Functions
from factstore.migrate.nodes import Entry, Mapping
from factstore.migrate.plan import Bag
from factstore.migrate.template import Template

_BARE = re.compile(r"[A-Za-z_][\w./:@-]*[\w./@-]")
STEP = 2


class BlockStyle:
    """Writes parts of one template as blocks."""

    def __init__(self, template: Template, lines: Lines, functions: Functions) -> None:
        self._template = template
        self._text = template.text
        self._lines = lines
        self._functions = functions
        self._nl = template.newline

    # The resource itself

    def replace_metadata(
        self, entry: Entry, header: Iterable[tuple[str, str]], section: str, bag: Bag
    ) -> Edit:
        """Return the edit that turns the metadata into properties.

        :param header: the other properties, as texts by name.
        :param section: the property for the facts.
        """
        region = self._lines.region(entry)
        column = entry.key.column
        inner = column + self._step(entry)
        head = list(header)
        text = ""
        if bag.is_whole or bag.here:
            first = self._lines.content(region.first)
            rest = first[entry.key.end - self._lines.start(region.first) :]
            text = self._header(column, head, inner)
            if bag.is_whole:
                text += f"{' ' * inner}{section}{rest}"
                text += shift(self._span(region.first + 1, region.last), inner - column)
            else:
                comments = self._lines.comments(entry)
                text += (
                    f"{' ' * inner}{section}:{'   ' if comments else ''}{'   '.join(comments[:1])}"
                )
                text += self._nl
                deeper = inner + self._step(entry)
                text += "".join(f"{' ' * deeper}{each}{self._nl}" for each in comments[1:])
                text += self._prelude(entry, bag.here, inner)
                text += self._items(bag.here, inner + self._step(entry))
        elif head:
            text = self._header(column, head, inner)
        return Edit(self._lines.start(region.first), self._lines.start(region.last), text)

    def _header(self, column: int, head: list[tuple[str, str]], inner: int) -> str:
        text = f"{' ' * column}{self._template.words.properties}:{self._nl}"
        return text + "".join(f"{' ' * inner}{name}: {value}{self._nl}" for name, value in head)

    def remove(self, entry: Entry) -> Edit:
        """Return the edit that deletes the lines of an entry, but no comments above it."""
        region = self._lines.region(entry)
        return Edit(self._lines.start(region.first), self._lines.start(region.last), "")

    def remove_resource(self, entry: Entry) -> Edit:
        """Return the edit that deletes the lines of a resource and the blank lines below."""
        region = self._lines.region(entry)
        return Edit(self._lines.start(region.first), self._lines.start(region.stop), "")

    # New resources

    def insert_after(self, entry: Entry, texts: Iterable[str]) -> Edit:
        """Return the edit that adds resources behind one."""
        region = self._lines.region(entry)
        at = self._lines.start(region.last)
        blank = self._nl if region.stop > region.last else ""
        text = "".join(blank + each for each in texts)
        if not self._text[:at].endswith("\n"):
            text = f"{self._nl}{text}"
        return Edit(at, at, text)

    def resource(
        self,
        beside: Entry,
        name: str,
        kind: str,
        properties: Iterable[tuple[str, str]],
        items: tuple[str, list[Item]] | None = None,
        more: Iterable[Entry] = (),
    ) -> str:
        """Return a resource.

        :param beside: the resource whose indentation it gets.
        :param items: a property for facts, and these.
        :param more: entries of the other resource that it gets, too.
        """
        words, column = self._template.words, beside.key.column
        body = beside.value
        is_block = isinstance(body, Mapping) and not body.flow and bool(body.entries)
        inner = body.entries[0].key.column if is_block else column + STEP  # type: ignore[attr-defined]
        step = inner - column
        text = f"{' ' * column}{self._functions.text(name)}:{self._nl}"
        text += f"{' ' * inner}{words.type}: {kind}{self._nl}"
        for entry in more:
            text += self._entry(entry, str(entry.key.value), inner)
        text += f"{' ' * inner}{words.properties}:{self._nl}"
        for key, value in properties:
            text += f"{' ' * (inner + step)}{key}: {value}{self._nl}"
        if items is not None:
            text += f"{' ' * (inner + step)}{items[0]}:{self._nl}"
            text += self._items(items[1], inner + 2 * step)
        return text

    def read_path(self, entry: Entry, url: str) -> Edit:
        """Return the edit that replaces an entry ``cfn`` by the collector of a URL."""
        region = self._lines.region(entry)
        column = entry.key.column
        text = (
            f"{' ' * column}request:{self._nl}{' ' * (column + STEP)}metadata_url: {url}{self._nl}"
        )
        return Edit(self._lines.start(region.first), self._lines.start(region.last), text)

    # Facts

    def _items(self, items: Iterable[Item], column: int) -> str:
        text = "".join(self._item(item, column) for item in items)
        return text.rstrip("\r\n ") + self._nl if text.strip() else text

    def _item(self, item: Item, column: int) -> str:
        above = ""
        for entry in item.opened:
            if self._lines.is_block(entry):
                region = self._lines.region(entry)
                above += shift(self._span(region.lead, region.first), column - entry.key.column)
            for comment in self._lines.comments(entry):
                above += f"{' ' * column}{comment}{self._nl}"
        return above + self._entry(item.entry, "/".join(item.path), column)

    def _entry(self, entry: Entry, name: str, column: int) -> str:
        key = self._text[entry.key.start : entry.key.end]
        if entry.key.value != name:
            key = name if _BARE.fullmatch(name) and entry.key.style == "" else json.dumps(name)
        if not self._lines.is_block(entry):
            value = self._text[entry.value.start : entry.value.end]
            return f"{' ' * column}{key}: {value}{self._nl}"
        region = self._lines.region(entry)
        start, end = self._lines.start(region.lead), self._lines.start(region.stop)
        text = self._text[start : entry.key.start] + key + self._text[entry.key.end : end]
        text = shift(text, column - entry.key.column)
        return text if text.endswith("\n") else text + self._nl

    def _prelude(self, entry: Entry, items: list[Item], column: int) -> str:
        """Return the comments between the word Metadata and those directly above the first key."""
        value = entry.value
        if not isinstance(value, Mapping) or value.flow or not value.entries:
            return ""
        start = self._lines.region(entry).first + 1
        text = self._span(start, self._lines.region(value.entries[0]).lead)
        return shift(text, column - entry.key.column) if text.strip() else ""

    def _span(self, start: int, end: int) -> str:
        return self._text[self._lines.start(start) : self._lines.start(max(start, end))]

    def _step(self, entry: Entry) -> int:
        value = entry.value
        if isinstance(value, Mapping) and not value.flow and value.entries:
            return max(value.entries[0].key.column - entry.key.column, 1)
        return STEP
