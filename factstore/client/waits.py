"""The waits in a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Wait:
    """One that waits for one thing.

    :param who: the kind and the name of the one that waits, such as ``("member", "c1")``.
    :param goal: the kind and the name of what it waits for, such as ``("path", "nodes/head/ip")``.
    :param owners: the names of the members that can end the wait; empty for nobody in particular.
    :param needs: the number of owners that have to act.
    :param count: the number of requests that wait.
    :param since: ISO 8601.
    """

    id: str
    kind: str
    who: tuple[str, str]
    goal: tuple[str, str]
    owners: Sequence[str]
    needs: int
    count: int
    since: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the wait in a document."""
        return cls(
            id=document["id"],
            kind=document["kind"],
            who=_named(document["who"]),
            goal=_named(document["for"]),
            owners=tuple(document["owners"]),
            needs=document["needs"],
            count=document["count"],
            since=document["since"],
        )


@dataclass(frozen=True)
class Circle:
    """Members that wait for each other.

    :param members: their names.
    :param waits: the ids of the waits of the shortest circle, in order.
    :param detail: the circle in words.
    """

    members: Sequence[str]
    waits: Sequence[str]
    detail: str
    since: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the circle in a document."""
        return cls(
            members=tuple(document["members"]),
            waits=tuple(step["wait"] for step in document["steps"]),
            detail=document["detail"],
            since=document["since"],
        )


@dataclass(frozen=True)
class NeverEnding:
    """A wait that cannot end by itself.

    :param wait: the id of the wait.
    :param reason: such as ``owner_missing``.
    :param detail: the reason in words.
    :param remedy: what to do about it.
    """

    wait: str
    reason: str
    detail: str
    remedy: str
    since: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the wait in a document."""
        names = ("wait", "reason", "detail", "remedy", "since")
        return cls(**{name: document[name] for name in names})


@dataclass(frozen=True)
class StackWaits:
    """The waits in a stack that the caller may see.

    :param omitted: the number of waits that are not among *waits*.
    :param stuck: True if there is a circle, or a wait that cannot end by itself.
    :param reported_at: the time of the event ``stack.stuck``; None if there was none.
    :param note: states who can still end the waits.
    """

    waits: Sequence[Wait]
    circles: Sequence[Circle]
    never: Sequence[NeverEnding]
    stuck: bool
    stuck_since: str | None
    reported_at: str | None
    omitted: int
    note: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the waits in a document."""
        return cls(
            waits=tuple(map(Wait.parse, document["waits"])),
            circles=tuple(map(Circle.parse, document["circles"])),
            never=tuple(map(NeverEnding.parse, document["never"])),
            stuck=document["stuck"],
            stuck_since=document["stuck_since"],
            reported_at=document["reported_at"],
            omitted=document["omitted"],
            note=document["note"],
        )


def _named(document: Mapping[str, str]) -> tuple[str, str]:
    ((kind, name),) = document.items()
    return kind, name
