"""Writes data bags and what belongs to them in braces: as JSON, or in YAML's flow style."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from factstore.migrate.edits import Edit, Lines, reindent
from factstore.migrate.facts import Item
from factstore.migrate.functions import Functions
from factstore.migrate.nodes import Entry, Mapping
from factstore.migrate.plan import Bag
from factstore.migrate.template import Template


class FlowStyle:
    """Writes parts of one template in braces, over several lines if its own braces are."""

    def __init__(self, template: Template, lines: Lines, functions: Functions) -> None:
        self._template = template
        self._text = template.text
        self._lines = lines
        self._functions = functions
        self._nl = template.newline

    def members(
        self,
        mapping: Mapping,
        removed: Collection[Entry],
        replaced: Iterable[tuple[Entry, str]] = (),
    ) -> list[Edit]:
        """Return the edits that delete members, with their commas, and replace others."""
        edits = [Edit(entry.key.start, entry.value.end, text) for entry, text in replaced]
        gone = {id(entry) for entry in removed}
        entries = mapping.entries
        at = 0
        while at < len(entries):
            if id(entries[at]) not in gone:
                at += 1
                continue
            end = at
            while end < len(entries) and id(entries[end]) in gone:
                end += 1
            if end < len(entries):
                # The comments in between may be about the next member.
                stop = entries[end].key.start
                comment = self._text.find("#", entries[end - 1].value.end, stop)
                edits.append(Edit(entries[at].key.start, stop if comment < 0 else comment, ""))
            elif at > 0:
                start = entries[at - 1].value.end
                if "#" in self._text[start : entries[at].key.start]:
                    start = entries[at].key.start
                edits.append(Edit(start, entries[end - 1].value.end, ""))
            else:
                edits.append(Edit(entries[at].key.start, entries[end - 1].value.end, ""))
            at = end
        return edits

    def metadata(
        self, entry: Entry, header: Iterable[tuple[str, str]], section: str, bag: Bag
    ) -> str | None:
        """Return the member that replaces the metadata; None if the resource needs no properties."""
        indent = self._lines.indent(entry.key.start)
        unit = self._unit(bag.resource.entry)
        inner = indent + unit
        parts = [f"{self._key(name)}: {value}" for name, value in header]
        is_long = "\n" in self._text[bag.resource.body.start : bag.resource.body.end]
        if bag.is_whole:
            value = self._text[entry.value.start : entry.value.end]
            parts.append(f"{self._key(section)}: {reindent(value, indent, inner)}")
        elif bag.here:
            facts = self._facts(bag.here, inner, unit, is_long)
            parts.append(f"{self._key(section)}: {facts}")
        if not parts:
            return None
        braces = self._braces(parts, indent, unit, is_long)
        return f"{self._key(self._template.words.properties)}: {braces}"

    def insert_after(self, entry: Entry, texts: Iterable[str]) -> Edit:
        """Return the edit that adds resources behind one."""
        indent = self._lines.indent(entry.key.start)
        is_long = "\n" in self._text[self._template.section.start : self._template.section.end]
        gap = f"{self._nl}{indent}" if is_long else " "
        return Edit(entry.value.end, entry.value.end, "".join(f",{gap}{each}" for each in texts))

    def resource(
        self,
        beside: Entry,
        name: str,
        kind: str,
        properties: Iterable[tuple[str, str]],
        items: tuple[str, list[Item]] | None = None,
        more: Iterable[Entry] = (),
    ) -> str:
        """Return a resource as a member; see BlockStyle.resource."""
        indent = self._lines.indent(beside.key.start)
        unit = self._unit(beside)
        words = self._template.words
        is_long = "\n" in self._text[beside.value.start : beside.value.end]
        deeper = indent + unit
        parts = [f"{self._key(key)}: {value}" for key, value in properties]
        if items is not None:
            facts = self._facts(items[1], deeper + unit, unit, is_long)
            parts.append(f"{self._key(items[0])}: {facts}")
        members = [f"{self._key(words.type)}: {self._value(kind)}"]
        members += [self._text[each.key.start : each.value.end] for each in more]
        members.append(
            f"{self._key(words.properties)}: {self._braces(parts, deeper, unit, is_long)}"
        )
        return f"{self._key(name)}: {self._braces(members, indent, unit, is_long)}"

    def read_path(self, entry: Entry, url: str) -> Edit:
        """Return the edit that replaces an entry ``cfn`` by the collector of a URL."""
        text = f"{self._key('request')}: {{{self._key('metadata_url')}: {url}}}"
        return Edit(entry.key.start, entry.value.end, text)

    def _facts(self, items: Iterable[Item], indent: str, unit: str, is_long: bool) -> str:
        parts = []
        for item in items:
            entry, name = item.entry, "/".join(item.path)
            key = self._text[entry.key.start : entry.key.end]
            if len(item.path) > 1:
                key = self._key(name)
            value = self._text[entry.value.start : entry.value.end]
            old = self._lines.indent(entry.key.start)
            comments = [each for above in item.opened for each in self._lines.comments(above)]
            text = "".join(f"{each}{self._nl}{indent}{unit}" for each in comments)
            parts.append(f"{text}{key}: {reindent(value, old, indent + unit)}")
        return self._braces(parts, indent, unit, is_long)

    def _braces(self, parts: list[str], indent: str, unit: str, is_long: bool) -> str:
        if not is_long:
            return f"{{{', '.join(parts)}}}"
        gap = f"{self._nl}{indent}{unit}"
        return f"{{{gap}{f',{gap}'.join(parts)}{self._nl}{indent}}}"

    def _unit(self, entry: Entry) -> str:
        """Return the white space by which the members of a resource are indented."""
        body = entry.value
        if isinstance(body, Mapping) and body.entries:
            outer = self._lines.indent(entry.key.start)
            inner = self._lines.indent(body.entries[0].key.start)
            if inner.startswith(outer) and len(inner) > len(outer):
                return inner[len(outer) :]
        return "  "

    def _key(self, name: str) -> str:
        return json.dumps(name) if self._template.is_json else self._functions.text(name)

    def _value(self, kind: str) -> str:
        return json.dumps(kind) if self._template.is_json else kind
