"""The rule of who may see the value of a sensitive fact.

Every other reader of the stack sees that the fact exists, without its value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from factstore.core.errors import Invalid
from factstore.core.model.path import SEGMENT_PATTERN, quoted
from factstore.core.model.quick_dataclass import quick_dataclass

READERS = 32  # that one fact may name
READER_PATTERN = rf"(?:group|member)/{SEGMENT_PATTERN}"
OWN_FOLDERS = ("nodes", "results", "configs")
"""The folders that contain a folder for each member, named after it."""

_READER = re.compile(READER_PATTERN)


@quick_dataclass(frozen=True, slots=True)
class SecretReader:
    """A caller who reads a sensitive fact.

    :param may_read_sensitive: True if policy allows the caller to see every value of the project.
    :param member: the member of the caller's grant, or None.
    :param group: the group of the caller's grant, or None.
    """

    may_read_sensitive: bool = False
    member: str | None = None
    group: str | None = None

    def may_reveal(self, path: str, readers: Collection[str]) -> bool:
        """Return True if the caller may see the value of a fact.

        :param readers: the readers that the fact names.
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
    """Return the readers of a fact, sorted.

    :raises Invalid: ``readers_invalid``.
    """
    if readers and not sensitive:
        raise _invalid(
            "only a sensitive fact can have readers, because every reader of the stack sees the "
            "value of other facts. Send sensitive: true, or no readers"
        )
    if len(readers) > READERS:
        raise _invalid(f"there are {len(readers)}; at most {READERS} are allowed")
    for reader in readers:
        if not _READER.fullmatch(reader):
            raise _invalid(
                f"{quoted(reader)} is not valid; a reader is 'group/' or 'member/' and one segment"
            )
    ordered = tuple(sorted(set(readers)))
    if len(ordered) != len(readers):
        twice = next(reader for reader in readers if readers.count(reader) > 1)
        raise _invalid(f"{quoted(twice)} is given twice")
    return ordered


def _invalid(what: str) -> Invalid:
    return Invalid(f"Field 'readers': {what}.", code="readers_invalid", extra={"field": "readers"})
