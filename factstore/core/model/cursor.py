"""Positions in the total order of changes: cursors and entity tags.

Both are ``<epoch>.<revision>``.  The epoch changes when the store is wiped or restored, so a position
from before never matches by accident.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from factstore.core.errors import Invalid
from factstore.core.model.path import quoted

CURSOR_PATTERN = r"([0-9a-f]{16})\.(0|[1-9][0-9]{0,18})"
_CURSOR = re.compile(CURSOR_PATTERN)
_WEAK = re.compile(r'(?:^|[,\s])W/"')
_BLANKS = " \t"  # RFC 9110 allows no other white space
_TAG_LIST = re.compile(r'[ \t]*"([\x21\x23-\x7e]*)"[ \t]*(?:,|\Z)')
_MAX_REVISION = 2**63 - 1


class Cursor(NamedTuple):
    """A position after *revision*."""

    epoch: str
    revision: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor that a text spells.

        :raises Invalid: ``cursor_invalid``.
        """
        match = _CURSOR.fullmatch(text)
        if not match or int(match[2]) > _MAX_REVISION:
            raise Invalid(
                f"{quoted(text)} is not a cursor; send a cursor that the service returned, unchanged.",
                code="cursor_invalid",
            )
        return cls(match[1], int(match[2]))


def parse_tags(header: str) -> frozenset[str] | None:
    """Return the tags of an ``If-Match`` or ``If-None-Match`` header; None for ``*`` (RFC 9110, 13.1).

    :raises Invalid: ``etag_invalid`` for anything but ``*`` or quoted strong tags.
    """
    if header.strip(_BLANKS) == "*":
        return None
    tags, at = set(), 0
    while at < len(header):
        match = _TAG_LIST.match(header, at)
        if not match:
            break
        tags.add(match[1])
        at = match.end()
    if _WEAK.search(header):
        raise Invalid(
            f"{quoted(header)} contains a weak entity tag, which no write can rely on. A proxy that "
            "compresses responses makes tags weak; send the tag without 'W/'.",
            code="etag_invalid",
        )
    if not tags or at < len(header) or header.rstrip(_BLANKS).endswith(","):
        raise Invalid(
            f"{quoted(header)} is not a list of entity tags; send '*' or \"<etag>\" with its quotes.",
            code="etag_invalid",
        )
    return frozenset(tags)
