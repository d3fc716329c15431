"""The context as a JSON document.

Its objects are ordered by key, so a reader that keeps a copy up to date gets the same document as one
that reads it whole.

A document is a sequence of texts.  Large values are those of the facts themselves, so that documents
share them: those of successive revisions, and those that slow readers are still receiving.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.value import encode

NODES = "nodes"
"""The folder below which each member has a folder of its own facts, named after it."""
SELF, PEERS = "self", "peers"
"""The parts of a document that describe a member and the other members."""
_LARGE = 4096  # characters of a text that is shared
_BLOCK = 64 * 1024  # characters of small texts that are joined


class Rendered:
    """The document of a stack, from which those of its members are assembled.

    :param tags: the entity tags of sensitive facts by path.  The document does not contain their
        values; the tags make it change with them.
    :ivar texts: the JSON without the view of a member.
    :ivar etag: the entity tag of the JSON.
    :ivar length: the characters of the JSON.
    """

    def __init__(
        self,
        stack: str,
        facts: Sequence[Fact],
        members: Sequence[Member],
        tags: Mapping[str, str] = {},
    ) -> None:
        self._opened = tuple(joined_blocks(_document(stack, facts, members, tags)))
        self.texts = (*self._opened, "}")
        self.etag = etag_of(*self.texts)
        self.length = sum(map(len, self.texts))
        self._facts = facts
        self._members = members
        self._groups: dict[str, dict[str, str]] | None = None

    def etag_for(self, name: str, parts: Collection[str]) -> str:
        """Return the entity tag of a member's document, which depends on nothing else."""
        return etag_of(f"{self.etag} {name} {' '.join(sorted(parts))}") if parts else self.etag

    def seen_by(self, name: str, parts: Collection[str]) -> tuple[str, ...]:
        """Return the document of a living member.

        :param parts: the parts to add: ``self`` and ``peers``.
        """
        (own,) = [member for member in self._members if member.name == name]
        groups = self._members_by_group() if PEERS in parts else {}
        added: list[str] = []
        if SELF in parts:
            text = groups[own.group][name] if groups else self._peer(own)
            group = f'"group":{encode(own.group)}'
            added.append(f',"{SELF}":{{"name":{encode(name)},{group},{text[1:]}')
        if PEERS in parts:
            peers = (
                (
                    group,
                    json_object((each, (text,)) for each, text in texts.items() if each != name),
                )
                for group, texts in sorted(groups.items())
                if texts.keys() != {name}
            )
            added += (f',"{PEERS}":', *json_object(peers))
        return (*self._opened, *joined_blocks(added), "}")

    def _members_by_group(self) -> dict[str, dict[str, str]]:
        groups = self._groups
        if groups is None:
            groups = {}
            for member in self._members:
                groups.setdefault(member.group, {})[member.name] = self._peer(member)
            self._groups = groups  # assigned when complete: several threads may read it
        return groups

    def _peer(self, member: Member) -> str:
        facts = "".join(_object_at(self._facts, NODES, member.name))
        return f'{{"state":"{member.state}","attributes":{member.attributes},"facts":{facts}}}'


def member_text(member: Member) -> str:
    """Return a member as JSON, without revisions and times."""
    text = member.memo.get("context")
    if text is None:
        text = member.memo["context"] = (
            f'{{"group":{encode(member.group)},"state":"{member.state}",'
            f'"attributes":{member.attributes}}}'
        )
    return text


def etag_of(*texts: str) -> str:
    """Return the entity tag of a text that consists of several."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()[:32]


def render(stack: str, facts: Sequence[Fact], members: Sequence[Member] = ()) -> str:
    """Return the context document as JSON.

    :param facts: ordered by path.
    :param members: the living members, ordered by name.
    """
    return "".join(Rendered(stack, facts, members).texts)


def _document(
    stack: str, facts: Sequence[Fact], members: Sequence[Member], tags: Mapping[str, str]
) -> Iterator[str]:
    """Yield the document without the brace at its end."""
    yield f'{{"stack":{encode(stack)},"facts":'
    yield from _nested(facts)
    yield ',"members":'
    yield from json_object((member.name, (member_text(member),)) for member in members)
    if tags:
        yield f',"sensitive":{encode(dict(tags))}'


def joined_blocks(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts; join the small ones, because many small texts need much memory."""
    small: list[str] = []
    length = 0
    for text in texts:
        if len(text) < _LARGE:
            small.append(text)
            length += len(text)
        if small and (length > _BLOCK or len(text) >= _LARGE):
            yield "".join(small)
            small.clear()
            length = 0
        if len(text) >= _LARGE:
            yield text
    if small:
        yield "".join(small)


def _nested(facts: Sequence[Fact], folder: str = "") -> list[str]:
    """Return facts as an object, nested by the segments of their paths.

    :param facts: all below *folder*, ordered by path.
    :param folder: empty, or a path that ends with a slash.
    """
    pieces = ["{"]
    ends, separator = [len(folder)], ""  # of the paths of the open objects
    # Objects are ordered by name.  Paths are not: '/' comes after '-' and '.'.
    for fact in sorted(facts, key=_segments):
        path = fact.path
        while not path.startswith(folder):
            ends.pop()
            folder = folder[: ends[-1]]
            pieces.append("}")
        at = ends[-1]
        while (slash := path.find("/", at)) >= 0:
            pieces.append(f'{separator}"{path[at:slash]}":{{')
            separator, at = "", slash + 1
            ends.append(at)
            folder = path[:at]
        if len(fact.text) < _LARGE:
            pieces.append(f'{separator}"{path[at:]}":{fact.text}')
        else:
            pieces += (f'{separator}"{path[at:]}":', fact.text)
        separator = ","
    pieces.append("}" * len(ends))
    return pieces


def _segments(fact: Fact) -> str:
    """Return a key that orders facts by the segments of their paths."""
    return fact.path.replace("/", "\0")


def _object_at(facts: Sequence[Fact], folder: str, name: str) -> Sequence[str]:
    """Return the object with a name in a folder; empty if it has none.

    The folder, or what is in it, may be a fact whose value is an object.
    """
    for path in (folder, f"{folder}/{name}"):
        at = bisect_left(facts, path, key=path_of)
        if at < len(facts) and facts[at].path == path:
            value = json.loads(facts[at].text)
            if path == folder:
                value = value.get(name) if isinstance(value, dict) else None
            return (encode(value) if isinstance(value, dict) else "{}",)
    first, last = span(facts, f"{folder}/{name}/")
    return _nested(facts[first:last], f"{folder}/{name}/")


def span(facts: Sequence[Fact], folder: str) -> tuple[int, int]:
    """Return the range of the facts below a folder.

    :param facts: ordered by path.
    :param folder: ends with a slash.
    """
    after = f"{folder[:-1]}0"  # the character after the slash
    return bisect_left(facts, folder, key=path_of), bisect_left(facts, after, key=path_of)


def path_of(fact: Fact) -> str:
    """Return the path of a fact."""
    return fact.path


def json_object(members: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Yield an object; names need no escapes."""
    separator = "{"
    for name, texts in members:
        yield f'{separator}"{name}":'
        yield from texts
        separator = ","
    yield "}" if separator == "," else "{}"
