"""The read sets of a stack's members, indexed by the paths that concern them.

The patterns form a tree of segments, so that a change costs about as much as its path has segments, and
not a test of each pattern.  Members with equal read sets share one entry, by its digest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.path import RESULTS
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ANY, MEMBERS, ReadPattern, ReadSet, member_path
from factstore.core.state.deletions import Deletions


class ReadSetContents(Protocol):
    """The parts of a stack from which the target of a read set is computed."""

    facts: dict[str, Fact]
    paths: list[str]
    live_members: dict[str, Member]


@quick_dataclass(slots=True, eq=False)
class _Node:
    """The patterns that end at one segment.

    :param readers: the digests of their read sets: of other patterns first, then of listings.
    :param newest: the newest revisions that concerned them, in the same order.
    """

    children: dict[str, _Node] = field(default_factory=dict)
    readers: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    newest: list[int] = field(default_factory=lambda: [0, 0])

    def below(self) -> Iterator[_Node]:
        """Yield all nodes below."""
        pending = list(self.children.values())
        while pending:
            node = pending.pop()
            yield node
            pending += node.children.values()


@quick_dataclass(slots=True)
class _Entry:
    """A read set, the number of members that have it, and the newest revision that concerned it."""

    patterns: list[ReadPattern]
    members: int = 0
    target: int = 0


class ReadSetIndex:
    """The current read sets, by member and by digest.

    :ivar entries: the different read sets, by digest.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self.entries: dict[str, _Entry] = {}
        self._digests: dict[str, str] = {}

    def digest(self, member: str) -> str:
        """Return the digest of a member's read set; empty if it has none."""
        return self._digests.get(member, "")

    def digests(self) -> frozenset[str]:
        """Return the digests of all read sets."""
        return frozenset(self.entries)

    def target(self, digest: str) -> int:
        """Return the newest revision that concerned a read set; 0 if none did."""
        return self.entries[digest].target

    def put(
        self, member: str, read_set: ReadSet, contents: ReadSetContents, deletions: Deletions
    ) -> None:
        """Store the read set of a member, in place of a former one."""
        digest = read_set.digest
        entry = self.entries.get(digest)
        if entry is None:
            entry = self.entries[digest] = _Entry(read_set.patterns())
            for pattern in entry.patterns:
                newest = self._insert(pattern, digest, contents, deletions)
                entry.target = max(entry.target, newest)
        entry.members += 1
        self.drop(member)
        self._digests[member] = digest

    def drop(self, member: str) -> None:
        """Delete the read set of a member, if it has one."""
        digest = self._digests.pop(member, None)
        if digest is None:
            return
        entry = self.entries[digest]
        entry.members -= 1
        if not entry.members:
            del self.entries[digest]
            for pattern in entry.patterns:
                self._remove(pattern, digest)

    def change(self, path: str, revision: int, created: int) -> set[str]:
        """Record a change, and return the digests of the read sets whose target it moves.

        :param path: of a fact, a deleted fact, a folder with deleted facts, or a member; empty for all.
        :param created: the revision that concerns listings of what is above.
        """
        moved: set[str] = set()
        above, nodes = self._find(path)
        for node in above:
            self._concern(node, revision, created, moved)
        for node in nodes:
            self._concern(node, revision, revision, moved)
        return moved

    def concerned(self, path: str, *, listed: bool) -> set[str]:
        """Return the digests of the read sets whose target a change would move that comes next.

        :param path: as for :meth:`change`.
        :param listed: True if the change concerns listings of what is above, too.
        """
        above, nodes = self._find(path)
        kinds = slice(2) if listed else slice(1)
        found: set[str] = set()
        found.update(*[each for node in above for each in node.readers[kinds]])
        found.update(*[each for node in nodes for each in node.readers])
        return found

    def _find(self, path: str) -> tuple[list[_Node], list[_Node]]:
        """Return the patterns above a path, and those at and below it."""
        above: list[_Node] = []
        nodes = [self._root]
        for segment in path.split("/") if path else ():
            above += nodes
            found = []
            for node in nodes:
                if segment in node.children:
                    found.append(node.children[segment])
                if segment != MEMBERS and ANY in node.children:
                    found.append(node.children[ANY])
            nodes = found
            if not found:
                break
        return above, [each for node in nodes for each in (node, *node.below())]

    def _concern(self, node: _Node, revision: int, created: int, moved: set[str]) -> None:
        for lists, at in ((False, revision), (True, created)):
            if at > node.newest[lists]:
                node.newest[lists] = at
                for digest in node.readers[lists]:
                    entry = self.entries[digest]
                    if at > entry.target:
                        entry.target = at
                        moved.add(digest)

    def _insert(
        self, pattern: ReadPattern, digest: str, contents: ReadSetContents, deletions: Deletions
    ) -> int:
        """Add a pattern of a read set; return the newest revision that concerned the pattern."""
        node = self._root
        for segment in pattern.segments:
            node = node.children.setdefault(segment, _Node())
        readers = node.readers[pattern.lists]
        if not readers:
            node.newest[pattern.lists] = newest_revision(pattern, contents, deletions)
        readers.add(digest)
        return node.newest[pattern.lists]

    def _remove(self, pattern: ReadPattern, digest: str) -> None:
        nodes = [self._root]
        for segment in pattern.segments:
            nodes.append(nodes[-1].children[segment])
        nodes[-1].readers[pattern.lists].discard(digest)
        for parent, segment in zip(nodes[-2::-1], reversed(pattern.segments), strict=True):
            node = parent.children[segment]
            if node.children or any(node.readers):
                return
            del parent.children[segment]


def newest_revision(pattern: ReadPattern, contents: ReadSetContents, deletions: Deletions) -> int:
    """Return the newest revision in a stack that concerned a pattern; 0 if none did."""
    members = pattern.segments[0] == MEMBERS
    found = _members(pattern, contents) if members else _facts(pattern, contents)
    deleted = (
        revision
        for path, revision in deletions.newest.items()
        if not path or pattern.overlaps(path.split("/"))
    )
    return max([*found, *deleted], default=0)


def _facts(pattern: ReadPattern, contents: ReadSetContents) -> Iterator[int]:
    for path in _candidates(pattern.segments, contents.paths, contents.facts):
        segments = path.split("/")
        if pattern.overlaps(segments) and not path.startswith(RESULTS):
            fact = contents.facts[path]
            below = len(segments) > len(pattern.segments)
            yield fact.created if pattern.lists and below else fact.revision


def _candidates(
    segments: Sequence[str], paths: Sequence[str], facts: Mapping[str, Fact]
) -> Iterator[str]:
    """Yield the paths at, above and below the segments before the first star."""
    literal = segments[: segments.index(ANY)] if ANY in segments else segments
    for count in range(1, len(literal) + 1):
        path = "/".join(literal[:count])
        if path in facts:
            yield path
    start = "/".join([*literal, ""])
    for at in range(bisect_left(paths, start), len(paths)):
        if not paths[at].startswith(start):
            return
        yield paths[at]


def _members(pattern: ReadPattern, contents: ReadSetContents) -> Iterator[int]:
    if len(pattern.segments) == 3:  # one member, in any group
        members = [contents.live_members.get(pattern.segments[2])]
    else:
        members = [*contents.live_members.values()]
    for member in members:
        if member and pattern.overlaps(member_path(member.group, member.name).split("/")):
            yield member.listed_revision if pattern.lists else member.visible_revision
