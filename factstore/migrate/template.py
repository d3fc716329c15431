"""A template: which dialect it is written in, its resources, and what refers to what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from factstore.migrate.json_nodes import is_json, parse_json
from factstore.migrate.nodes import (
    Alias,
    Entry,
    Mapping,
    Node,
    NotReadable,
    Scalar,
    deep,
    plain,
    target,
)
from factstore.migrate.yaml_nodes import parse_yaml

FILE_INCLUDE = "FileInclude"
MERGE_MAP = "Merge::Map"
ROLE = "OpenStack::Role"

_SUBSTITUTED = re.compile(r"\$\{([^!][^}]*)\}")
_FUNCTION = re.compile(
    r"Ref|Condition|Fn::\w+|Merge::\w+|get_\w+|str_replace\w*|list_\w+|str_split|repeat|digest"
)
_MORE_FUNCTIONS = {"resource_facade", "yaql", "map_merge", "map_replace", "filter", "make_url"} | {
    "contains",
    "if",
    "equals",
    "and",
    "or",
    "not",
}


@dataclass(frozen=True)
class Dialect:
    """The words of one kind of template."""

    resources: str
    parameters: str
    outputs: str
    type: str
    properties: str
    metadata: str
    depends_on: str
    is_hot: bool


CFN = Dialect(
    "Resources", "Parameters", "Outputs", "Type", "Properties", "Metadata", "DependsOn", False
)
HOT = Dialect(
    "resources", "parameters", "outputs", "type", "properties", "metadata", "depends_on", True
)
_VERSIONS = ("heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion")


class NotATemplate(Exception):
    """The text has no resources.

    :param line: the line with the fault, from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(eq=False)
class Resource:
    """A resource of the template.

    :ivar entry: its name and its body.
    """

    name: str
    entry: Entry
    body: Mapping
    kind: str
    words: Dialect

    @property
    def metadata(self) -> Node | None:
        """The metadata, behind an alias if it is one."""
        entry = self.body.entry(self.words.metadata)
        return None if entry is None else entry.value

    @property
    def properties(self) -> Mapping | None:
        """The properties, unless they are missing or not a mapping."""
        found = self.body.get(self.words.properties)
        return found if isinstance(found, Mapping) else None

    def given(self, *names: str) -> Node | None:
        """Return the first property with one of these names."""
        for name in names:
            found = self.properties.get(name) if self.properties else None
            if found is not None:
                return found
        return None

    @property
    def depends_on(self) -> list[str]:
        """The names of the resources that it states to depend on."""
        found = self.body.get(self.words.depends_on)
        value = None if found is None else plain(found)
        names = value if isinstance(value, list) else [value]
        return [each for each in names if isinstance(each, str)]


class Template:
    """A readable template.

    :param text: the whole text, with its line breaks as in the file.
    :raises NotATemplate: the text is not YAML or JSON, or has no resources.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_json = is_json(text)
        try:
            root = parse_json(text) if self.is_json else parse_yaml(text)
        except NotReadable as error:
            raise NotATemplate(str(error), error.line) from error
        if not isinstance(root, Mapping):
            raise NotATemplate("is not a template: it is not a mapping")
        self.root = root
        self.words = _dialect(root)
        section = root.get(self.words.resources)
        if section is None and self.has_version:
            section = Mapping(root.end, root.end, root.line, 0)
        if not isinstance(section, Mapping):
            raise NotATemplate("is not a template: it has no resources")
        self.section = section
        self.resources = dict(self._read(section))
        parameters = root.get(self.words.parameters)
        self.parameters = (
            {str(each.key.value) for each in parameters.entries}
            if isinstance(parameters, Mapping)
            else set()
        )

    def _read(self, section: Mapping) -> Iterator[tuple[str, Resource]]:
        for entry in section.entries:
            body = target(entry.value)
            if isinstance(body, Mapping):
                kind = body.get(self.words.type)
                value = kind.value if isinstance(kind, Scalar) else ""
                name = str(entry.key.value)
                yield name, Resource(name, entry, body, str(value), self.words)

    @property
    def newline(self) -> str:
        """The line break of the file."""
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def has_version(self) -> bool:
        """True if Heat would accept the text as a template."""
        return any(self.root.entry(name) for name in _VERSIONS)

    def fragment_reason(self) -> str | None:
        """Return why the text is a fragment for a merge script; None if it is a whole template."""
        if not self.has_version:
            return "it states no template version"
        if any(each.kind == FILE_INCLUDE for each in self.resources.values()):
            return "it includes resources of other files"
        for node in deep_mappings(self.section):
            if node.entry(MERGE_MAP):
                return f"it uses {MERGE_MAP}"
        for resource in self.resources.values():
            if role_of(resource) not in (None, resource.name):
                return f"a resource has the attribute {ROLE}"
        missing = self.dangling()
        if missing:
            return f"it refers to {min(missing)}, which it does not contain"
        return None

    def dangling(self) -> set[str]:
        """Return the names that are referred to and do not exist."""
        known = self.parameters | self.resources.keys()
        return {each for each in referred(self.root) if each not in known and "::" not in each} | {
            each
            for resource in self.resources.values()
            for each in resource.depends_on
            if each not in self.resources
        }

    def line(self, node: Node) -> int:
        """Return the number of the line of a node, from 1."""
        return node.line + 1


def role_of(resource: Resource) -> str | None:
    """Return the role in a resource's metadata, by which a merge script joins resources."""
    metadata = None if resource.metadata is None else target(resource.metadata)
    found = metadata.get(ROLE) if isinstance(metadata, Mapping) else None
    value = None if found is None else plain(found)
    return value if isinstance(value, str) else None


def _dialect(root: Mapping) -> Dialect:
    if root.entry("heat_template_version") or (
        root.entry(HOT.resources) and not root.entry(CFN.resources)
    ):
        return HOT
    return CFN


def deep_mappings(node: Node) -> Iterator[Mapping]:
    """Yield all mappings in a value."""
    for each in node.walk():
        if isinstance(each, Mapping):
            yield each


def is_function(node: Node) -> bool:
    """Return whether a value is a call of a function."""
    node = target(node)
    if node.tag is not None and node.tag.startswith("!") and node.tag != "!":
        return True
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return False
    name = node.entries[0].key.value
    return isinstance(name, str) and (
        _FUNCTION.fullmatch(name) is not None or name in _MORE_FUNCTIONS
    )


def referred(node: Node, *, without: Iterable[Node] = ()) -> Iterator[str]:
    """Yield the names of parameters and resources that a value refers to.

    The names in ``depends_on`` are not references of a value.

    :param without: nodes that are not looked into.
    """
    if isinstance(node, Alias):
        node = target(node)
    if any(each is node for each in without):
        return
    yield from _own(node)
    for child in node.children():
        yield from referred(child, without=without)


def awaited(node: Node) -> Iterator[str]:
    """Yield the names of resources whose attributes or ids a value contains.

    A Ref is not among them: in a fragment, it usually names a parameter of another file.
    """
    for each in deep(node):
        if isinstance(each, Mapping) and len(each.entries) == 1:
            function = each.entries[0].key.value
        else:
            function = each.tag
        if function in ("Fn::GetAtt", "get_attr", "get_resource", "!GetAtt"):
            yield from _own(each)


def _own(node: Node) -> Iterator[str]:
    if isinstance(node, Mapping) and len(node.entries) == 1:
        entry = node.entries[0]
        name, value = entry.key.value, entry.value
    elif node.tag is not None and node.tag.startswith("!") and node.tag != "!":
        short = node.tag[1:]
        value = node
        name = short if short == "Ref" else f"Fn::{short}"
    else:
        return
    raw = plain(value) if value is not node else next(iter(plain(node).values()))
    if name in ("Ref", "get_resource", "get_param"):
        first = raw[0] if isinstance(raw, list) and raw else raw
        if _is_str(first):
            yield first
    elif name in ("Fn::GetAtt", "get_attr"):
        if isinstance(raw, str):
            yield raw.split(".", 1)[0]
        elif isinstance(raw, list) and raw and _is_str(raw[0]):
            yield raw[0]
    elif name == "Fn::Sub":
        text = raw[0] if isinstance(raw, list) and raw else raw
        own = raw[1] if isinstance(raw, list) and len(raw) > 1 and isinstance(raw[1], dict) else {}
        for found in _SUBSTITUTED.findall(text if isinstance(text, str) else ""):
            if found not in own:
                yield found.split(".", 1)[0]


def _is_str(value: Any) -> bool:
    return isinstance(value, str)
