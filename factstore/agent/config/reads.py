"""The parts of a context that a file or a hook reads: patterns for facts, members and groups.

The patterns are those of the service's read sets.  ``*`` stands for one segment, a pattern includes all
facts at, below and above it, and with ``/`` at the end it means the facts that are created or deleted
below it.  A ``/`` at the end of ``*`` for all members, or of a group, leaves the members' states out.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ANY = "*"
ANY_LISTED = "*/"
ENTRIES = 1000
LENGTH = 60_000  # characters; the service allows somewhat more
STARS = 4
MANY = 50
"""If more patterns than these differ in one folder's name only, ``*`` stands for it."""


@dataclass(frozen=True)
class Reads:
    """Facts and members that are read.

    :param facts: patterns.
    :param members: names; ``*`` for all members, ``*/`` for all but their states.
    :param groups: groups of which all members are read; with ``/`` at the end, all but the states.
    """

    facts: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, words: Iterable[str]) -> Reads:
        """Return what the words of an option stand for: patterns, ``@GROUP``, and ``@*``."""
        facts, groups = set(), set()
        for word in words:
            (groups.add(word[1:]) if word.startswith("@") else facts.add(word))
        members = groups & {ANY, ANY_LISTED}
        return cls(frozenset(facts), frozenset(members), frozenset(groups - members))

    @property
    def is_everything(self) -> bool:
        """True if every change is one of what is read."""
        return ANY in self.facts and ANY in self.members

    def __or__(self, other: Reads) -> Reads:
        """Return what is read by either."""
        return Reads(
            self.facts | other.facts, self.members | other.members, self.groups | other.groups
        )

    def reduced(self) -> Reads:
        """Return at most what the service stores, with ``*`` or folders for facts if there are many."""
        if ANY in self.facts and ANY in self.members:
            return EVERYTHING
        members, groups = self.members, self.groups
        if ANY in members:
            members, groups = frozenset({ANY}), frozenset()
        elif ANY_LISTED in members:
            groups = frozenset(group for group in groups if not group.endswith("/"))
        groups -= {f"{group}/" for group in groups}
        facts = _without_covered(_generalized(self.facts))
        if len(members) + len(groups) > ENTRIES // 2:
            members, groups = frozenset({ANY}), frozenset()
        while not _fits((*facts, *members, *groups)):
            folders = Counter(_parent(pattern) for pattern in facts)
            folder = max(folders, key=lambda each: (folders[each], each.count("/"), each))
            facts = _without_covered({*facts, folder or ANY})
            if ANY in facts and not _fits((*facts, *members, *groups)):
                members, groups = frozenset({ANY}), frozenset()
        return Reads(frozenset(facts), members, groups)

    def digest(self, document: Mapping[str, Any]) -> str:
        """Return a hash of the part of a context's document that is read."""
        members: Mapping[str, Any] = document.get("members") or {}
        found = [
            [pattern, _part(document["facts"], _segments(pattern), lists=pattern.endswith("/"))]
            for pattern in sorted(self.facts)
        ]
        read = {name: part for name, member in members.items() if (part := self._of(name, member))}
        tags = {
            path: tag
            for path, tag in (document.get("sensitive") or {}).items()
            if any(_overlap(_segments(pattern), path.split("/")) for pattern in self.facts)
        }
        text = json.dumps([found, read, tags], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _of(self, name: str, member: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is read of a member; empty if it is not read."""
        group = member["group"]
        if ANY in self.members or name in self.members or group in self.groups:
            return dict(member)
        if ANY_LISTED in self.members or f"{group}/" in self.groups:
            return {field: value for field, value in member.items() if field != "state"}
        return {}


EVERYTHING = Reads(frozenset({ANY}), frozenset({ANY}))


def _segments(pattern: str) -> list[str]:
    return pattern.rstrip("/").split("/")


def _generalized(patterns: Collection[str]) -> set[str]:
    """Return patterns with ``*`` in place of a folder in which many differ.

    The last segment stays, because what is below its folder could be anything.
    """
    left, parts = set(patterns), {each: each.split("/") for each in patterns}
    while len(left) > MANY:
        similar: dict[tuple[str, ...], list[str]] = {}
        for pattern in left:
            segments = parts[pattern]
            if segments.count(ANY) < STARS:
                for at, segment in enumerate(segments[:-1]):
                    if segment != ANY:
                        wider = (*segments[:at], ANY, *segments[at + 1 :])
                        similar.setdefault(wider, []).append(pattern)
        if not similar:
            break
        wider, found = max(similar.items(), key=lambda each: (len(each[1]), each[0]))
        if len(found) <= MANY:
            break
        left.difference_update(found)
        left.add(merged := "/".join(wider))
        parts[merged] = list(wider)
    return left


def _parent(pattern: str) -> str:
    return "/".join(_segments(pattern)[:-1])


def _fits(entries: Collection[str]) -> bool:
    return len(entries) <= ENTRIES and sum(len(each) + 4 for each in entries) <= LENGTH


def _overlap(pattern: list[str], path: list[str]) -> bool:
    return all(mine in (ANY, its) for mine, its in zip(pattern, path))


def _without_covered(patterns: Collection[str]) -> set[str]:
    """Return the patterns without those for which another one makes no difference."""
    if ANY in patterns:
        return {ANY}
    left = set()
    for pattern in patterns:
        segments, lists = _segments(pattern), pattern.endswith("/")
        above = ["/".join(segments[:count]) for count in range(1, len(segments) + lists)]
        listed = [f"{folder}/" for folder in above[: len(segments) - 1]] if lists else []
        if not any(each in patterns for each in (*above, *listed) if each != pattern):
            left.add(pattern)
    return left


def _part(value: Any, segments: list[str], *, lists: bool) -> Any:
    """Return what a pattern reads of a value; ``[]`` if nothing is there."""
    if not isinstance(value, dict):
        return [len(segments), value]  # a fact at the pattern differs from one above it
    if not segments:
        return _names(value) if lists else value
    first, *rest = segments
    if first == ANY:
        return {name: _part(child, rest, lists=lists) for name, child in value.items()}
    return _part(value[first], rest, lists=lists) if first in value else []


def _names(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    return {name: _names(child) for name, child in value.items()}
