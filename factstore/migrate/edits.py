"""Changes of a text, and the lines that belong to an entry in block style."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from factstore.migrate.nodes import Entry, Mapping, Scalar, target

_COMMENT = re.compile(r"[ \t]*#")
_BEHIND = re.compile(r"\s+#.*")


class NotRewritable(Exception):
    """The text of a part of the template cannot be rewritten.

    :param line: the number of the line, from 1.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, order=True)
class Edit:
    """Replaces the text between two indexes."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with all edits, which must not overlap."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        if edit.start < at:
            raise NotRewritable("has parts that overlap", text.count("\n", 0, edit.start) + 1)
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


@dataclass(frozen=True)
class Region:
    """The lines of an entry, as numbers from 0.

    :ivar lead: the first line of the comments directly above the key.
    :ivar first: the line of the key.
    :ivar last: the line after the entry's last line that is not blank.
    :ivar stop: the line at which the next entry or its comments begin.
    """

    lead: int
    first: int
    last: int
    stop: int


class Lines:
    """The lines of a text, and the regions of the entries of mappings in block style."""

    def __init__(self, text: str, root: Mapping) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        if self._starts[-1] == len(text) and len(self._starts) > 1:
            self._starts.pop()
        self.count = len(self._starts)
        self._regions: dict[int, Region] = {}
        self._measure(root, self._end_of_document(root))

    def _end_of_document(self, root: Mapping) -> int:
        """Return the line of the mark that ends the document, or the number of lines."""
        line = self.line(max(root.end - 1, 0)) + 1
        while line < self.count and not self.content(line).startswith("..."):
            line += 1
        return line

    def start(self, line: int) -> int:
        """Return the index at which a line begins; the end of the text for the line after the last."""
        return self._starts[line] if line < self.count else len(self.text)

    def line(self, index: int) -> int:
        """Return the line of a character."""
        return bisect_right(self._starts, index) - 1

    def content(self, line: int) -> str:
        """Return a line with its line break."""
        return self.text[self.start(line) : self.start(line + 1)]

    def indent(self, index: int) -> str:
        """Return the white space with which the line of a character begins."""
        found = re.match(r"[ \t]*", self.content(self.line(index)))
        return found[0] if found else ""

    def region(self, entry: Entry) -> Region:
        """Return the lines of an entry of a mapping in block style.

        :raises NotRewritable: the entry shares its first line with something else.
        """
        found = self._regions.get(id(entry))
        if found is None or self.indent(entry.key.start) != " " * entry.key.column:
            raise NotRewritable(
                f"{entry.key.value!r} shares its line with something else", entry.key.line + 1
            )
        return found

    def is_block(self, entry: Entry) -> bool:
        """Return whether an entry has lines of its own."""
        return id(entry) in self._regions

    def comments(self, entry: Entry) -> list[str]:
        """Return the comments behind a key and in its braces, but not those of the entries below."""
        value = entry.value
        if not isinstance(value, Mapping):
            return []
        at, gaps = entry.key.end, []
        if value.flow:
            for inner in value.entries:
                gaps.append(self.text[at : inner.key.start])
                at = inner.value.end
            gaps.append(self.text[at : value.end])
            at = value.end
        if not value.flow or self.is_block(entry):
            line = self.line(at)
            gaps.append(self.text[at : self.start(line + 1)])
        return [found.strip() for gap in gaps for found in _BEHIND.findall(gap)]

    def _measure(self, mapping: Mapping, stop: int) -> None:
        if mapping.flow:
            return
        for entry, after in zip(mapping.entries, [*mapping.entries[1:], None], strict=True):
            content = self._content_end(entry)
            end = stop if after is None else self._lead(after.key, content)
            last = end
            while last > content and not self.content(last - 1).strip():
                last -= 1
            lead = self._lead(entry.key, 0)
            self._regions[id(entry)] = Region(lead, entry.key.line, last, end)
            value = entry.value
            if isinstance(value, Mapping):
                self._measure(value, last)
            else:
                for each in value.walk():
                    if isinstance(each, Mapping):
                        self._measure(each, self.line(max(each.end - 1, each.start)) + 1)

    def _content_end(self, entry: Entry) -> int:
        value = entry.value
        node = target(value)
        if value is node and isinstance(node, Scalar) and node.style in ("|", ">"):
            return self.line(max(value.end - 1, value.start)) + 1
        return self.line(max(value.end - 1, entry.key.end - 1)) + 1

    def _lead(self, key: Scalar, least: int) -> int:
        """Return the first line of the comments directly above a key."""
        line = key.line
        while line > least and _COMMENT.match(self.content(line - 1)):
            if len(self.indent(self.start(line - 1))) > key.column:
                break
            line -= 1
        return line


def shift(text: str, columns: int) -> str:
    """Return lines with more or fewer spaces before each."""
    lines = text.splitlines(keepends=True)
    if columns >= 0:
        return "".join(" " * columns + line if line.strip("\r\n") else line for line in lines)
    least = re.compile(f" {{0,{-columns}}}")
    return "".join(least.sub("", line, count=1) for line in lines)


def reindent(text: str, old: str, new: str) -> str:
    """Return a value in flow style with the continuation lines below another indentation."""
    first, *rest = text.splitlines(keepends=True) or [""]
    return first + "".join(
        new + line[len(old) :] if line.startswith(old) and line.strip() else line for line in rest
    )
