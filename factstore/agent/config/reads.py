"""The parts of a context that a file or a hook reads: patterns for facts, members and groups.

The patterns are those of the service's read sets.  ``*`` stands for one segment, a pattern includes all
facts at, below and above it, and with ``/`` at the end it means the facts that are created or deleted
below it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ANY = "*"
ENTRIES = 1000
LENGTH = 60_000  # characters; the service allows somewhat more


@dataclass(frozen=True, slots=True)
class Reads:
    """Facts and members that are read.

    :param facts: patterns.
    :param members: names; ``*`` for all members.
    :param groups: groups of which all members are read.
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
        members = frozenset({ANY} if ANY in groups else ())
        return cls(frozenset(facts), members, frozenset(groups - {ANY}))

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
        """Return at most what the service stores, with folders in place of facts if there are many."""
        if ANY in self.facts and ANY in self.members:
            return EVERYTHING
        members = frozenset({ANY}) if ANY in self.members else self.members
        groups = frozenset() if ANY in self.members else self.groups
        facts = _without_covered(self.facts)
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
        read = {
            name: member
            for name, member in members.items()
            if ANY in self.members or name in self.members or member["group"] in self.groups
        }
        tags = {
            path: tag
            for path, tag in (document.get("sensitive") or {}).items()
            if any(_overlap(_segments(pattern), path.split("/")) for pattern in self.facts)
        }
        text = json.dumps([found, read, tags], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


EVERYTHING = Reads(frozenset({ANY}), frozenset({ANY}))


def _segments(pattern: str) -> list[str]:
    return pattern.rstrip("/").split("/")


def _parent(pattern: str) -> str:
    return "/".join(_segments(pattern)[:-1])


def _fits(entries: Collection[str]) -> bool:
    return len(entries) <= ENTRIES and sum(len(each) + 4 for each in entries) <= LENGTH


def _overlap(pattern: list[str], path: list[str]) -> bool:
    return all(mine in (ANY, its) for mine, its in zip(pattern, path, strict=False))


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
