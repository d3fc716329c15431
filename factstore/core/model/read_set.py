"""Read sets: the facts and members on which a member's files and hooks depend.

A read set consists of patterns, in which ``*`` stands for one segment.  A change of the fact at a path
concerns a pattern if the path is at, below or above it, because a value can be an object, which
templates read like a folder.  A pattern that ends with ``/`` is a listing: below it, only facts that
are created or deleted concern it.

Internally a member is a path, too: ``@/<group>/<member>``.  No path of a fact begins like this.  A
listing of members, ``*/`` or ``<group>/``, is concerned by all of their changes but those
of their states.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import field
from typing import NamedTuple

from factstore.core.errors import Invalid, TooLarge
from factstore.core.model.path import GRAMMAR, check_name, check_path, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.value import encode

ENTRIES = 1000
TEXT_LENGTH = 64 * 1024  # characters of canonical JSON
STARS = 4
ANY = "*"
MEMBERS = "@"
"""The first segment of the paths of members."""
DIGEST_PATTERN = "[0-9a-f]{32}"

_LISTING = f"{ANY}/"
_STAR_SEGMENT = re.compile(r"(?<![^/])\*(?![^/])")


class ReadPattern(NamedTuple):
    """One pattern, by its segments.

    :param lists: True if the pattern is a listing.
    """

    segments: tuple[str, ...]
    lists: bool = False

    def overlaps(self, path: Sequence[str]) -> bool:
        """Return True if a path, by its segments, is at, below or above the pattern."""
        return all(
            mine == its or (mine == ANY and its != MEMBERS)
            for mine, its in zip(self.segments, path, strict=False)
        )

    def is_concerned(self, path: Sequence[str], *, value_only: bool) -> bool:
        """Return True if a change of the fact at a path concerns the pattern.

        :param value_only: True if the fact existed before and exists after the change.
        """
        if self.lists and value_only and len(path) > len(self.segments):
            return False
        return self.overlaps(path)


@quick_dataclass(frozen=True, slots=True)
class ReadSet(Record):
    """The read set of one incarnation of a member.  Create it with :meth:`of`, which checks the limits.

    :param facts: the patterns for facts, sorted.
    :param members: the names of members, sorted; ``*`` for all members, ``*/`` for all but their
        states.
    :param groups: the groups of which all members are read, sorted; with ``/`` at the end, all but
        the states.
    :param revision: the revision that stored it; 0 before it is stored.
    :param lease: the member's.
    """

    member: str
    facts: tuple[str, ...]
    members: tuple[str, ...]
    groups: tuple[str, ...]
    updated_at: str
    updated_by: str
    request_id: str
    memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The digest, once it was computed."""

    @classmethod
    def of(
        cls,
        member: str,
        facts: Collection[str] = (),
        members: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> ReadSet:
        """Return a checked read set.

        :raises Invalid: ``path_invalid``.
        :raises TooLarge: ``value_too_large``.
        """
        for pattern in facts:
            _check_pattern(pattern)
        for name in members:
            if name not in (ANY, _LISTING):
                check_name(name, "member")
        for name in groups:
            check_name(name.removesuffix("/"), "group")
        found = cls(
            member,
            tuple(sorted(set(facts))),
            tuple(sorted(set(members))),
            tuple(sorted(set(groups))),
            updated_at="",
            updated_by="",
            request_id="",
        )
        total = len(found.facts) + len(found.members) + len(found.groups)
        if total > ENTRIES:
            raise TooLarge(
                f"The read set has {total} entries; at most {ENTRIES} are allowed. Name folders "
                "or use '*' instead of single facts.",
                code="value_too_large",
            )
        if len(found.text) > TEXT_LENGTH:
            raise TooLarge(
                f"The read set is {len(found.text)} characters as canonical JSON; at most "
                f"{TEXT_LENGTH} are allowed. Name folders or use '*' instead of single facts.",
                code="value_too_large",
            )
        return found

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(ReadSet, self.member)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.member) + len(self.text)

    @property
    def text(self) -> str:
        """The canonical JSON; read sets with equal texts are concerned by the same changes."""
        return encode(
            {
                "facts": list(self.facts),
                "groups": list(self.groups),
                "members": list(self.members),
            }
        )

    @property
    def digest(self) -> str:
        """A hash of the text."""
        digest = self.memo.get("digest")
        if digest is None:
            digest = hashlib.sha256(self.text.encode()).hexdigest()[:32]
            self.memo["digest"] = digest
        return digest

    def patterns(self) -> list[ReadPattern]:
        """Return all patterns, those for members included."""
        found = [
            ReadPattern(tuple(fact.rstrip("/").split("/")), fact.endswith("/"))
            for fact in self.facts
        ]
        found += [
            ReadPattern((MEMBERS, group.removesuffix("/")), group.endswith("/"))
            for group in self.groups
        ]
        found += [
            ReadPattern((MEMBERS,), name == _LISTING)
            if name in (ANY, _LISTING)
            else ReadPattern((MEMBERS, ANY, name))
            for name in self.members
        ]
        return found

    def reads(self, path: str) -> bool:
        """Return True if a change of the fact's value concerns the read set."""
        segments = path.split("/")
        return any(each.is_concerned(segments, value_only=True) for each in self.patterns())


def member_path(group: str, name: str) -> str:
    """Return the path of a member in the patterns of read sets."""
    return f"{MEMBERS}/{group}/{name}"


def _check_pattern(pattern: str) -> None:
    plain, stars = _STAR_SEGMENT.subn("_", pattern)
    try:
        check_path(plain.removesuffix("/"), what="pattern")
        if stars > STARS:
            raise Invalid("")
    except Invalid:
        raise Invalid(
            f"Pattern {quoted(pattern)} is not valid: it is the path of a fact or a folder, in which "
            f"at most {STARS} whole segments can be '*'; with '/' at the end, it lists a folder; "
            f"{GRAMMAR}.",
            code="path_invalid",
        ) from None
