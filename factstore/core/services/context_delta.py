"""The changes of a context since a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import encode
from factstore.core.services.context_document import joined_blocks, json_object, member_text


@quick_dataclass(frozen=True, slots=True)
class ContextDelta:
    """The changes of a context.

    :param texts: JSON.  Deletions are to be applied before the facts.
    :param cursor: the revision to which the changes lead.
    :param checksum: of the context at that revision.
    """

    texts: tuple[str, ...]
    cursor: Cursor
    checksum: str
    memo: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """Renderings that readers cache with the changes."""

    @property
    def text(self) -> str:
        """The whole JSON."""
        return "".join(self.texts)


def changes_texts(
    events: Iterable[Event], shows: Callable[[str], bool], epoch: str
) -> tuple[str, ...]:
    """Return the members of the JSON object with the changes.

    :param events: all events of the stack since the reader's cursor, in order.
    :param shows: returns True if the reader's context contains a path.
    """
    facts: dict[str, Fact | None] = {}
    members: dict[str, Member | None] = {}
    for event in events:
        for change in event.changes:
            if change.path is not None:
                if shows(change.path):
                    facts[change.path] = change.fact
            else:
                for record in (change.former, change.record):
                    if isinstance(record, Member):
                        # The member's record is None after it has expired.
                        living = record is change.record and not record.departed
                        members[record.name] = record if living else None
    put = [fact for _, fact in sorted(facts.items()) if fact is not None]
    remaining = ((name, member) for name, member in sorted(members.items()) if member is not None)
    others = {
        "deleted": sorted(path for path, fact in facts.items() if fact is None),
        "departed": sorted(name for name, member in members.items() if member is None),
        "sensitive": {fact.path: fact.etag(epoch) for fact in put if fact.sensitive},
    }
    texts = (
        '"facts":',
        *json_object((fact.path, (fact.text,)) for fact in put),
        ',"members":',
        *json_object((name, (member_text(member),)) for name, member in remaining),
        f",{encode(others)[1:-1]}",
    )
    return tuple(joined_blocks(texts))
