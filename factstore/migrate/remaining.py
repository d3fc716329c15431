"""Finds what still reads or names metadata that are rewritten, so that a person rewrites it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from factstore.migrate.nodes import Entry, Mapping, Node, Scalar, deep
from factstore.migrate.plan import Finding, Plan
from factstore.migrate.read_paths import POLICIES, mentions, reads_metadata
from factstore.migrate.template import Template, referred
from factstore.migrate.texts import Part, ReadFile, Texts

_READER = re.compile(
    r"(?<![\w-])cfn-(?:get-metadata|init)(?![\w.-])"
    r"|\bresource-(?:metadata|show)\b|\bstack\s+resource\s+(?:metadata|show)\b"
    r"|\bdescribe[-_]stack[-_]resources?\b|\bDescribeStackResources?\b"
    r"|\bresources\.(?:metadata|get)\b|\bresource_metadata\b"
    r"|resources/.{0,80}/metadata\b"
)
_HUP = re.compile(r"(?<![\w-])cfn-hup(?![\w.-])")
_GOES_ON = ("\\", "(", ",", "[", "{", "|", "&&")
_INSTEAD = "use the url of an OS::FactStore::Grant"


@dataclass(frozen=True)
class _Statement:
    """A line of a text, together with those that continue it.

    :ivar parts: its parts, and where each begins.
    """

    text: str
    parts: tuple[tuple[int, Part], ...]

    def part(self, at: int) -> Part:
        """Return the part at an index of the text."""
        return next(part for start, part in reversed(self.parts) if start <= at)


def remaining_readers(
    template: Template, plan: Plan, read_file: ReadFile | None = None
) -> Iterator[Finding]:
    """Yield a finding for each text that reads the metadata, and for each other mention of them.

    :param read_file: returns the text of a file that the template names; None if it cannot.
    """
    search = _Search(template, plan, read_file)
    for owner, parts in _searched(template, plan):
        yield from search.findings(owner, parts)


def _searched(template: Template, plan: Plan) -> Iterator[tuple[str, list[Entry]]]:
    """Yield what contains texts: each resource that stays, and the outputs."""
    apart = (template.words.type, template.words.depends_on)
    for resource in template.resources.values():
        if resource.name not in plan.removed:
            yield (
                resource.name,
                [entry for entry in resource.body.entries if entry.key.value not in apart],
            )
    outputs = template.root.get(template.words.outputs)
    for entry in outputs.entries if isinstance(outputs, Mapping) else []:
        yield f"the output {entry.key.value}", [entry]


class _Search:
    """The search in one template."""

    def __init__(self, template: Template, plan: Plan, read_file: ReadFile | None) -> None:
        self._template = template
        self._plan = plan
        self._changed = {
            id(node): text for command in plan.commands for node, text in command.remains()
        }
        gone = [path.entry.value for path in (*plan.reads, *plan.left_reads)]
        gone += [entry.value for bag in plan.bags.values() for entry in bag.dropped]
        self._changed |= {id(node): "" for value in gone for node in value.walk()}
        self._hidden = [
            *gone,
            *(node for command in plan.commands for node in command.hidden),
        ]
        self._texts = Texts(template, self._changed, read_file)

    def findings(self, owner: str, entries: Iterable[Entry]) -> Iterator[Finding]:
        """Yield the findings of a resource: a note about a name only if it has no other finding."""
        found: dict[str, list[Finding]] = {}
        notes: dict[str, Finding] = {}
        for entry in entries:
            for parts in self._texts.below(entry.value):
                statements = list(_statements(parts))
                for name in self._plan.bags:
                    found.setdefault(name, []).extend(self._readers(owner, statements, name))
                    for note in self._mentions(owner, statements, name):
                        notes.setdefault(name, note)
                yield from self._polls(owner, statements)
                if not any(found.values()):
                    yield from self._unnamed(owner, statements)
            for name, note in self._references(owner, entry.value):
                notes.setdefault(name, note)
            for name, note in self._handed_on(owner, entry.value):
                notes.setdefault(name, note)
        for name in self._plan.bags:
            yield from dict.fromkeys(found.get(name, ()))
            if not found.get(name) and name in notes:
                yield notes[name]
        for file, line in self._texts.unread.values():
            yield Finding(
                line,
                f"{owner} uses {file}, which could not be checked: look whether it reads the metadata "
                f"of {' or '.join(self._plan.bags)}",
                is_left=False,
            )
        self._texts.unread.clear()

    def _readers(self, owner: str, statements: list[_Statement], name: str) -> Iterator[Finding]:
        elsewhere = any(mentions(each.text, name) for each in statements)
        for each in statements:
            at = reads_metadata(each.text, name)
            reader = _READER.search(each.text)
            if at is None and reader is not None:
                named = mentions(each.text, name)
                at = (
                    reader.start()
                    if named or (elsewhere and not self._is_of_another(each))
                    else None
                )
            if at is not None:
                yield _finding(
                    each.part(at),
                    f"{owner} reads the metadata of {name} in a text",
                    f": {_INSTEAD}",
                )

    def _is_of_another(self, statement: _Statement) -> bool:
        """Return whether a statement states a resource, so that no variable names it."""
        return any(mentions(statement.text, name) for name in self._template.resources)

    def _polls(self, owner: str, statements: list[_Statement]) -> Iterator[Finding]:
        """Yield what follows changes of metadata beside a cfn-init that reads them no longer."""
        names = [each.name for each in self._plan.commands if each.owner == owner]
        for each in statements:
            found = _HUP.search(each.text)
            if names and found is not None:
                yield _finding(
                    each.part(found.start()),
                    f"{owner} runs cfn-hup, which polls Heat for changes of {names[0]}",
                    ", where they no longer are: run the agent, or os-collect-config with its "
                    "collector request",
                )

    def _unnamed(self, owner: str, statements: list[_Statement]) -> Iterator[Finding]:
        """Yield a note for a text that gets the resource whose metadata it reads from elsewhere."""
        for each in statements:
            found = _READER.search(each.text)
            if found is not None and not self._is_of_another(each):
                yield _note(
                    each.part(found.start()),
                    f"{owner} reads the metadata of a resource that the text does not name",
                    f": if it is {' or '.join(self._plan.bags)}, {_INSTEAD}",
                )

    def _mentions(self, owner: str, statements: list[_Statement], name: str) -> Iterator[Finding]:
        """Yield a note for a script that contains the name; in other texts it is a word."""
        if owner in self._plan.bags or len(statements) < 2:
            return
        for each in statements:
            if mentions(each.text, name):
                yield _note(
                    each.part(0),
                    f"{owner} contains the word {name} in a text",
                    f": look whether it means the launch configuration, which is rewritten; if so, "
                    f"{_INSTEAD}",
                )

    def _references(self, owner: str, value: Node) -> Iterator[tuple[str, Finding]]:
        resource = self._template.resources.get(owner)
        if resource is not None and resource.kind in POLICIES:
            return
        for node in deep(value):
            if any(node is each for each in self._hidden) or not _is_reference(node):
                continue
            for name in referred(node, without=self._hidden):
                if name in self._plan.bags:
                    yield (
                        name,
                        _note(
                            Part("", node.line + 1),
                            f"{owner} refers to {name}",
                            ": the value is the name of the data bag now",
                        ),
                    )

    def _handed_on(self, owner: str, value: Node) -> Iterator[tuple[str, Finding]]:
        """Yield a note for a name that a resource hands on to another template or a script."""
        resource = self._template.resources.get(owner)
        kind = "" if resource is None else resource.kind
        if not kind or (kind.startswith(("OS::", "AWS::")) and "Deployment" not in kind):
            return
        for node in deep(value):
            if isinstance(node, Scalar) and node.value in self._plan.bags:
                yield (
                    str(node.value),
                    _note(
                        Part("", node.line + 1),
                        f"{owner} hands on the name {node.value}",
                        f": look whether something reads the metadata by it; if so, {_INSTEAD}",
                    ),
                )


def _is_reference(node: Node) -> bool:
    if isinstance(node, Mapping) and len(node.entries) == 1:
        return node.entries[0].key.value in ("Ref", "get_resource", "Fn::Sub")
    return node.tag in ("!Ref", "!Sub")


def _statements(parts: list[Part]) -> Iterator[_Statement]:
    """Yield the statements of a text, without comments."""
    text = ""
    marks: list[tuple[int, Part]] = []
    for line in _split(parts):
        written = "".join(part.text for part in line)
        is_comment = written.lstrip().startswith("#")
        for part in line if not is_comment else ():
            marks.append((len(text), part))
            text += part.text.rstrip("\r\n")
        if not is_comment and not written.rstrip().endswith(_GOES_ON):
            yield _Statement(text, tuple(marks))
            text, marks = "", []
        elif not is_comment:
            text = text.rstrip().removesuffix("\\") + " "
    if marks:
        yield _Statement(text, tuple(marks))


def _split(parts: list[Part]) -> Iterator[list[Part]]:
    """Yield the lines of a text, as the parts of which each consists."""
    line: list[Part] = []
    for part in parts:
        for piece in part.text.splitlines(keepends=True):
            line.append(replace(part, text=piece))
            if piece.endswith(("\n", "\r")):
                yield line
                line = []
    if line:
        yield line


def _finding(part: Part, what: str, remedy: str) -> Finding:
    where = f" ({part.file})" if part.file else ""
    return Finding(part.line, f"{what}{where}{remedy}")


def _note(part: Part, what: str, remedy: str) -> Finding:
    return replace(_finding(part, what, remedy), is_left=False)
