"""The context as a JSON document.

Its objects are ordered by key, so a reader that keeps a copy up to date gets the same document as one
that reads it whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.value import encode

NODES = "nodes"
"""The folder below which each member has a folder of its own facts, named after it."""
SELF, PEERS = "self", "peers"
"""The parts of a document that describe a member and the other members."""


class Rendered:
    """The document of a stack, from which those of its members are assembled.

    :param tags: the entity tags of sensitive facts by path.  The document does not contain their
        values; the tags make it change with them.
    :ivar text: the JSON without the view of a member.
    :ivar etag: the entity tag of that text.
    """

    def __init__(
        self,
        stack: str,
        facts: Sequence[Fact],
        members: Sequence[Member],
        tags: Mapping[str, str] = {},
    ) -> None:
        tree = _tree(facts)
        sensitive = f',"sensitive":{encode(dict(tags))}' if tags else ""
        self.text = (
            f'{{"stack":{encode(stack)},"facts":{_nested(tree)},'
            f'"members":{_object((m.name, member_text(m)) for m in members)}{sensitive}}}'
        )
        self.etag = etag_of(self.text)
        self._members = members
        self._nodes = tree.get(NODES)
        self._groups: dict[str, dict[str, str]] | None = None

    def etag_for(self, name: str, parts: Collection[str]) -> str:
        """Return the entity tag of a member's document, which depends on nothing else."""
        return etag_of(f"{self.etag} {name} {' '.join(sorted(parts))}") if parts else self.etag

    def seen_by(self, name: str, parts: Collection[str]) -> str:
        """Return the document of a living member.

        :param parts: the parts to add: ``self`` and ``peers``.
        """
        (own,) = [member for member in self._members if member.name == name]
        groups = self._members_by_group() if PEERS in parts else {}
        added = ""
        if SELF in parts:
            text = groups[own.group][name] if groups else self._peer(own)
            group = f'"group":{encode(own.group)}'
            added += f',"{SELF}":{{"name":{encode(name)},{group},{text[1:]}'
        if PEERS in parts:
            peers = (
                (group, _object((each, text) for each, text in texts.items() if each != name))
                for group, texts in sorted(groups.items())
                if texts.keys() != {name}
            )
            added += f',"{PEERS}":{_object(peers)}'
        return f"{self.text[:-1]}{added}}}"

    def _members_by_group(self) -> dict[str, dict[str, str]]:
        groups = self._groups
        if groups is None:
            groups = {}
            for member in self._members:
                groups.setdefault(member.group, {})[member.name] = self._peer(member)
            self._groups = groups  # assigned when complete: several threads may read it
        return groups

    def _peer(self, member: Member) -> str:
        facts = _object_in(self._nodes, member.name)
        return f'{{"state":"{member.state}","attributes":{member.attributes},"facts":{facts}}}'


def member_text(member: Member) -> str:
    """Return a member as JSON, without revisions and times."""
    return (
        f'{{"group":{encode(member.group)},"state":"{member.state}",'
        f'"attributes":{member.attributes}}}'
    )


def etag_of(text: str) -> str:
    """Return the entity tag of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def render(stack: str, facts: Sequence[Fact], members: Sequence[Member] = ()) -> str:
    """Return the context document as JSON.

    :param facts: ordered by path.
    :param members: the living members, ordered by name.
    """
    return Rendered(stack, facts, members).text


def _tree(facts: Sequence[Fact]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for fact in facts:
        *folders, name = fact.path.split("/")
        folder = tree
        for segment in folders:
            folder = folder.setdefault(segment, {})  # type: ignore[assignment]
        folder[name] = fact
    return tree


def _nested(tree: dict[str, object]) -> str:
    # The order of paths is not that of names: '/' comes after '-' and '.'.
    return _object(
        (name, child.text if isinstance(child, Fact) else _nested(child))  # type: ignore[arg-type]
        for name, child in sorted(tree.items())
    )


def _object_in(folder: object, name: str) -> str:
    """Return the object with a name in a folder, or in a fact in its place; empty if it has none."""
    if isinstance(folder, Fact):
        value = json.loads(folder.text)
        child = value.get(name) if isinstance(value, dict) else None
        return encode(child) if isinstance(child, dict) else "{}"
    child = folder.get(name) if isinstance(folder, dict) else None
    if isinstance(child, Fact):
        return child.text if child.text.startswith("{") else "{}"
    return _nested(child) if isinstance(child, dict) else "{}"


def _object(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join([f"{encode(name)}:{text}" for name, text in members]) + "}"
