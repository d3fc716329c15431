"""Finds where instances read the metadata of a launch configuration.

os-collect-config reads a resource's metadata through Heat's CloudFormation API, with the keys of a user
in the template. Its own configuration, which names the resource, is metadata too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from factstore.migrate.nodes import Alias, Entry, Mapping, Node, plain, target
from factstore.migrate.template import Template

OS_COLLECT_CONFIG = "os-collect-config"
CFN = "cfn"
_PATH = re.compile(r"(?:[Rr]esources\.)?(.+?)\.[Mm]etadata(\..+)?")

ACCESS_KEYS = {"AWS::IAM::AccessKey", "AWS::CloudFormation::AccessKey", "OS::Heat::AccessKey"}
USERS = {"AWS::IAM::User", "AWS::CloudFormation::User", "OS::Heat::User"}
POLICIES = {"OS::Heat::AccessPolicy", "AWS::IAM::Policy"}


@dataclass(frozen=True, eq=False)
class ReadPath:
    """A configuration of os-collect-config that reads the metadata of launch configurations.

    :ivar owner: the resource in whose body it is.
    :ivar holder: the entry ``os-collect-config``.
    :ivar entry: the entry ``cfn`` below it.
    :ivar names: the launch configurations that it reads.
    :ivar more: whether it reads other metadata, too, or only a part of it.
    """

    owner: str
    holder: Entry
    entry: Entry
    names: tuple[str, ...]
    more: bool

    @property
    def is_alias(self) -> bool:
        """True if the text is elsewhere."""
        return isinstance(self.holder.value, Alias)


def read_paths(template: Template, names: Collection[str]) -> list[ReadPath]:
    """Return the configurations that read the metadata of resources with these names."""
    found = []
    for resource in template.resources.values():
        for holder in _holders(resource.body):
            section = target(holder.value)
            entry = section.entry(CFN) if isinstance(section, Mapping) else None
            if entry is None:
                continue
            cfn = target(entry.value)
            if not isinstance(cfn, Mapping):
                continue
            paths = [
                each
                for part in cfn.entries
                if str(part.key.value).lower() == "path"
                for each in _paths(plain(part.value))
            ]
            read = [(name, rest) for name, rest in paths if name in names]
            if read:
                more = len(read) < len(paths) or any(rest for _, rest in read)
                unique = tuple(dict.fromkeys(name for name, _ in read))
                found.append(ReadPath(resource.name, holder, entry, unique, more))
    return found


def _holders(node: Node) -> Iterator[Entry]:
    node = target(node)
    if isinstance(node, Mapping):
        for entry in node.entries:
            if entry.key.value == OS_COLLECT_CONFIG:
                yield entry
            yield from _holders(entry.value)
    else:
        for child in node.children():
            yield from _holders(child)


def _paths(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the resource of each path and what follows ``Metadata``."""
    if isinstance(value, list):
        for each in value:
            yield from _paths(each)
        return
    for path in _text(value).split(","):
        found = _PATH.fullmatch(path.strip())
        yield (found[1], found[2] or "") if found else (path.strip(), "")


def _text(value: Any) -> str:
    """Return a text, also if it is joined from constants and names of resources."""
    if isinstance(value, dict) and len(value) == 1:
        name, given = next(iter(value.items()))
        if name in ("Ref", "get_resource") and isinstance(given, str):
            return given
        if name in ("Fn::Join", "list_join") and isinstance(given, list) and len(given) == 2:
            parts = given[1] if isinstance(given[1], list) else []
            return str(given[0]).join(_text(each) for each in parts)
        if name in ("Fn::Base64", "Fn::Sub"):
            return _text(given)
    return str(value)


def mentions(text: str, name: str) -> bool:
    """Return whether a text contains the name of a resource as a word."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def reads_metadata(text: str, name: str) -> int | None:
    """Return where a text, such as a script, reads the metadata of a resource, or None."""
    word = re.escape(name)
    found = re.search(
        rf"resources/{word}/metadata|(?<![\w-]){word}\.[Mm]etadata(?![\w-])"
        rf"|(?:-r|--resource)[ =]+['\"]?{word}(?![\w-])",
        text,
    )
    return None if found is None else found.start()
