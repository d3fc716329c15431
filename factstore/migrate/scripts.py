"""Finds ``cfn-init`` in user data, and replaces what it reads by a data bag.

cfn-init without keys applies the metadata in a file. The command that a grant hands out fills the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from factstore.migrate.edits import Edit, Lines
from factstore.migrate.functions import Functions
from factstore.migrate.nodes import Entry, Mapping, Node, Scalar, Sequence, plain, target
from factstore.migrate.template import Template

_COMMAND = re.compile(r"((?:[^\s;&|'\"]*/)?cfn-init)([ \t][^\n;&|]*)")
_WITH_VALUE = {
    "-s", "--stack", "-r", "--resource", "--access-key", "--secret-key", "--region", "--url",
    "-f", "--credential-file", "--role",
}  # fmt: skip
_FILE = "/var/cache/heat-cfntools/last_metadata"
_MARKER = "$factstore_context"
_BEFORE = f"mkdir -p {_FILE.rpartition('/')[0]} && "
_AFTER = (
    " | $(command -v python3 || command -v python) -c "
    "'import json, sys; json.dump(json.load(sys.stdin)[\"facts\"], sys.stdout)'"
    f" > {_FILE} && "
)


@dataclass(eq=False)
class Command:
    """A cfn-init in user data that reads the metadata of a launch configuration.

    :ivar owner: the resource with the user data.
    :ivar name: the launch configuration.
    :ivar hidden: nodes that are no longer there afterwards.
    :ivar texts: the texts in which it is.
    """

    owner: str
    name: str
    program: str
    rest: str
    hidden: list[Node]
    texts: list[Node]
    sequence: Sequence | None = None
    first: int = 0
    last: int = 0
    before: str = ""
    after: str = ""
    template: Scalar | None = None
    params: Mapping | None = None
    unused: list[Entry] = field(default_factory=list)

    def remains(self) -> Iterator[tuple[Node, str]]:
        """Yield the texts in which it is, without it; the lines around it stay where they are."""
        if self.sequence is None:
            for script in self.texts:
                text = str(script.value) if isinstance(script, Scalar) else ""
                gap = " " * (len(text) - len(self.before) - len(self.after))
                yield script, self.before + gap + self.after
            return
        for node in self.texts:
            yield node, ""
        first, last = self.sequence.items[self.first], self.sequence.items[self.last]
        if first is last:
            yield first, f"{self.before} {self.after}"
        else:
            yield first, self.before
            yield last, self.after

    def edits(self, source: Template, lines: Lines, functions: Functions, grant: str) -> list[Edit]:
        """Return the edits that make it read the grant's data bag."""
        context = functions.attribute(grant, "curl_cli")
        again = _AFTER + " ".join([self.program, *([self.rest] if self.rest else [])])
        if self.sequence is not None:
            parts = [json.dumps(self.before + _BEFORE, ensure_ascii=False), context]
            parts.append(json.dumps(again + self.after, ensure_ascii=False))
            items = self.sequence.items
            start, end = items[self.first], items[self.last]
            gap = ", "
            if not self.sequence.flow:
                line = lines.line(start.start)
                column = start.start - lines.start(line)
                dash = lines.content(line)[:column].rfind("-")
                gap = f"{source.newline}{' ' * dash}- "
            return [Edit(start.start, _end(source.text, end), gap.join(parts))]
        if self.template is None or self.params is None:
            return []
        return [
            self._script(self.template, source.text, f"{_BEFORE}{_MARKER}{again}"),
            *self._parameters(self.params, source, lines, context),
        ]

    def _script(self, node: Scalar, text: str, command: str) -> Edit:
        if node.style == "|":
            found = _found(text[node.start : node.end], self.before)
            if found is not None:
                _, end = _trimmed(found)
                return Edit(node.start + found.start(), node.start + end, command)
        value = node.value[: len(self.before)] + command + self.after
        return Edit(node.start, node.end, json.dumps(value, ensure_ascii=False))

    def _parameters(
        self, mapping: Mapping, source: Template, lines: Lines, context: str
    ) -> Iterator[Edit]:
        kept = [entry for entry in mapping.entries if entry not in self.unused]
        member = f'"{_MARKER}": {context}'
        first = mapping.entries[0]
        if mapping.flow or not lines.is_block(first):
            texts = [source.text[entry.key.start : entry.value.end] for entry in kept]
            yield Edit(
                mapping.entries[0].key.start,
                mapping.entries[-1].value.end,
                ", ".join([*texts, member]),
            )
            return
        for entry in self.unused:
            region = lines.region(entry)
            yield Edit(lines.start(region.first), lines.start(region.last), "")
        at = lines.start(lines.region(mapping.entries[-1]).last)
        yield Edit(at, at, f"{' ' * first.key.column}{member}{source.newline}")


def _found(raw: str, before: str) -> re.Match[str] | None:
    """Return the same command in the text as it is written."""
    skip = len(_COMMAND.findall(before))
    found = list(_COMMAND.finditer(raw))
    return found[skip] if skip < len(found) else None


def _end(text: str, node: Node) -> int:
    return node.start + len(text[node.start : node.end].rstrip())


def find_commands(template: Template, names: Collection[str]) -> list[Command]:
    """Return the commands that read the metadata of resources with these names."""
    found = []
    for resource in template.resources.values():
        value = resource.given("UserData", "user_data")
        if value is not None:
            for command in _commands(value, names):
                command.owner = resource.name
                found.append(command)
    return found


def _commands(node: Node, names: Collection[str]) -> Iterator[Command]:
    node = target(node)
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return
    function, given = node.entries[0].key.value, target(node.entries[0].value)
    if function == "Fn::Base64":
        yield from _commands(given, names)
    elif function in ("Fn::Join", "list_join") and isinstance(given, Sequence):
        if len(given.items) == 2 and isinstance(target(given.items[1]), Sequence):
            yield from _joined(given, names)
    elif function in ("str_replace", "Fn::Replace") and isinstance(given, Mapping):
        script, params = given.get("template"), given.get("params")
        if isinstance(script, Scalar) and isinstance(params, Mapping) and params.entries:
            yield from _replaced(script, params, names)


def _joined(given: Sequence, names: Collection[str]) -> Iterator[Command]:
    """Yield the first such command of a joined text."""
    sequence = given.items[1]
    glue = plain(given.items[0])
    if not isinstance(sequence, Sequence) or not isinstance(glue, str):
        return
    parts, starts, at = [], [], 0
    for index, item in enumerate(sequence.items):
        value = plain(item)
        part = value if isinstance(value, str) else f"\0{index}\0"
        starts.append(at)
        parts.append(part)
        at += len(part) + len(glue)
    if glue not in ("", "\n"):
        return
    text = glue.join(parts)
    for found in _COMMAND.finditer(text):
        command, last_at = _trimmed(found)
        name, rest = _read(command, lambda token: _resolve(token, sequence), names)
        if name is None:
            continue
        first = max(i for i, start in enumerate(starts) if start <= found.start())
        last = max(i for i, start in enumerate(starts) if start < last_at)
        covered = sequence.items[first : last + 1]
        if glue and (first != last):
            continue
        end = starts[last] + len(parts[last])
        yield Command(
            "", name, found[1], rest,
            hidden=[each for each in covered if not isinstance(plain(each), str)],
            texts=list(covered),
            sequence=sequence, first=first, last=last,
            before=text[starts[first] : found.start()], after=text[last_at:end],
        )  # fmt: skip
        return


def _trimmed(found: re.Match[str]) -> tuple[str, int]:
    """Return the arguments and where they end, without white space at the end."""
    arguments = found[2].rstrip()
    return arguments, found.start(2) + len(arguments)


def _resolve(token: str, sequence: Sequence) -> str:
    """Return a word of a command, with references to resources as their names."""

    def name(found: re.Match[str]) -> str:
        return _name(plain(sequence.items[int(found[1])])) or found[0]

    return re.sub("\0(\\d+)\0", name, token)


def _name(value: Any) -> str | None:
    if isinstance(value, dict) and len(value) == 1:
        function, given = next(iter(value.items()))
        if function in ("Ref", "get_resource") and isinstance(given, str):
            return given
    return value if isinstance(value, str) else None


def _read(arguments: str, resolve: Any, names: Collection[str]) -> tuple[str | None, str]:
    """Return the launch configuration that is read, and the arguments that remain."""
    rest: list[str] = []
    read = None
    words = arguments.split()
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option not in _WITH_VALUE:
            rest.append(word)
            continue
        if not equals:
            value = words.pop(0) if words else ""
        if option in ("-r", "--resource"):
            read = resolve(value).strip("'\"")
    return (read if read in names else None), " ".join(rest)


def _replaced(script: Scalar, params: Mapping, names: Collection[str]) -> Iterator[Command]:
    """Yield the first such command of a text with markers."""
    text = str(script.value)
    values = {str(entry.key.value): entry for entry in params.entries}

    def resolve(token: str) -> str:
        for marker, entry in values.items():
            if marker in token:
                return token.replace(marker, _name(plain(entry.value)) or marker)
        return token

    for found in _COMMAND.finditer(text):
        arguments, end = _trimmed(found)
        name, rest = _read(arguments, resolve, names)
        if name is None:
            continue
        remaining = text[: found.start()] + rest + text[end:]
        unused = [
            entry
            for marker, entry in values.items()
            if marker in arguments and marker not in remaining
        ]
        yield Command(
            "", name, found[1], rest,
            hidden=[entry.value for entry in unused], texts=[script],
            before=text[: found.start()], after=text[end:],
            template=script, params=params, unused=unused,
        )  # fmt: skip
        return
