"""A compiled context: all facts and members of a stack at one revision."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from factstore.core.model.cursor import Cursor
from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Context:
    """A compiled context.

    :param texts: JSON without revisions or times, so that equal facts make equal texts.
    :param etag: equal for equal texts, without quotes.
    :param cursor: the revision of the context; a watch from it receives every later event.
    :param target: the revision that members have to apply.
    :param checksum: of the document without the view of a member.
    """

    texts: tuple[str, ...]
    etag: str
    cursor: Cursor
    target: int
    checksum: str
    memo: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """Renderings that readers cache with the context."""

    @property
    def text(self) -> str:
        """The whole JSON."""
        return "".join(self.texts)
