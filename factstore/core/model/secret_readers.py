"""Who may see the value of a sensitive fact: the one rule.

Everybody else who may read its stack sees that it is there, and nothing of what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from factstore.core.errors import Invalid
from factstore.core.model.path import SEGMENT_PATTERN, quoted

READERS = 32  # that one fact may name
READER_PATTERN = rf"(?:group|member)/{SEGMENT_PATTERN}"
OWN_FOLDERS = ("nodes", "results", "configs")
"""Below each of them a member has a folder of its own, named after it."""

_READER = re.compile(READER_PATTERN)


@dataclass(frozen=True, slots=True)
class SecretReader:
    """Who wants to see it.

    :param may_read_sensitive: whether policy lets them see every fact of the project.
    :param member: the member that they are, for a grant's holder; *group* is the grant's.
    """

    may_read_sensitive: bool = False
    member: str | None = None
    group: str | None = None

    def may_reveal(self, path: str, readers: Collection[str]) -> bool:
        """Whether they may see the value of a fact.

        :param readers: those that the fact names.
        """
        if self.may_read_sensitive:
            return True
        if self.member is not None and (
            path.startswith(tuple(f"{folder}/{self.member}/" for folder in OWN_FOLDERS))
            or f"member/{self.member}" in readers
        ):
            return True
        return self.group is not None and f"group/{self.group}" in readers


NOBODY = SecretReader()


def check_readers(readers: Sequence[str], *, sensitive: bool) -> tuple[str, ...]:
    """The readers that a fact is to name, in order: which came first means nothing.

    :raises Invalid: ``readers_invalid``.
    """
    if readers and not sensitive:
        raise _invalid(
            "only a sensitive fact has them; everybody who may read the stack sees others. Send "
            "sensitive: true, or no readers"
        )
    if len(readers) > READERS:
        raise _invalid(f"there are {len(readers)}; at most {READERS} are allowed")
    for reader in readers:
        if not _READER.fullmatch(reader):
            raise _invalid(
                f"{quoted(reader)} is no reader; a reader is 'group/' or 'member/' and one segment"
            )
    ordered = tuple(sorted(set(readers)))
    if len(ordered) != len(readers):
        twice = next(reader for reader in readers if readers.count(reader) > 1)
        raise _invalid(f"{quoted(twice)} stands twice")
    return ordered


def _invalid(what: str) -> Invalid:
    return Invalid(f"readers: {what}.", code="readers_invalid", extra={"field": "readers"})
