"""What the service answers, as immutable records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from factstore.client.member import MemberRecord
from factstore.client.waiter import WaiterRecord

Outcome = Literal["created", "updated", "unchanged", "deleted", "absent"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A JSON value at a path.

    :param value: the value, as :mod:`json` reads it; of a sensitive fact None, except where it was
        read, or put, by itself.
    :param kind: ``observed`` or ``parameter``.
    :param revision: the revision that last changed it.
    :param version: 1 at creation, one more with each change.
    :param etag: what to give as ``if_match`` or ``if_none_match``; without quotes.
    :param created_at: ISO 8601, UTC; *updated_at* likewise.
    :param updated_by: the id of the user who last changed it.
    :param ttl: seconds it lives after each write, or None for a fact that stays.
    :param member: the member that it goes with, or None.
    :param sensitive: whether the value is sealed, and shown to few; *readers* are those beside whom
        policy lets.
    :param unchanged: of a write: the fact was as wished already, and nobody was woken.
    """

    path: str
    value: Any
    kind: str
    revision: int
    version: int
    etag: str
    created_at: str
    updated_at: str
    updated_by: str
    ttl: int | None = None
    member: str | None = None
    unchanged: bool = False
    sensitive: bool = False
    readers: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, unchanged: bool = False) -> Self:
        """The fact that a document describes; members that are not known here are passed over."""
        return cls(
            path=document["path"],
            value=document["value"],
            kind=document["kind"],
            revision=document["revision"],
            version=document["version"],
            etag=document["etag"],
            created_at=document["created_at"],
            updated_at=document["updated_at"],
            updated_by=document["updated_by"],
            ttl=document.get("ttl"),
            member=document.get("member"),
            unchanged=unchanged,
            sensitive=document.get("sensitive", False),
            readers=tuple(document.get("readers", ())),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One line of an event.

    :param type: such as ``fact.put``, ``fact.delete``, ``fact.expire``, ``stack.delete``; further
        ones may come.
    :param path: None for a change of anything but a fact.
    :param fact: as it is now; None when it went.
    :param previous: as it was before, if the service knows.
    :param by: the id of the user who did it; None for an expiry.
    :param name: of the member or waiter.
    :param member: as it is now; None when it expired.
    :param former: as the member was before, if it was.
    :param waiter: as it ended.
    :param reason: why the member went, or the waiter ended so.
    """

    type: str
    path: str | None
    fact: Fact | None
    previous: Fact | None
    by: str | None
    request_id: str | None
    name: str | None = None
    member: MemberRecord | None = None
    former: MemberRecord | None = None
    waiter: WaiterRecord | None = None
    reason: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """The change that a document describes."""
        fact, previous = document.get("fact"), document.get("previous")
        member, waiter = document.get("member"), document.get("waiter")
        of_member = str(document["type"]).startswith("member.")
        return cls(
            type=document["type"],
            path=document.get("path"),
            fact=Fact.parse(fact) if fact is not None else None,
            previous=Fact.parse(previous) if previous is not None and not of_member else None,
            by=document.get("by"),
            request_id=document.get("request_id"),
            name=document.get("name"),
            member=MemberRecord.parse(member) if member is not None else None,
            former=MemberRecord.parse(previous) if previous is not None and of_member else None,
            waiter=WaiterRecord.parse(waiter) if waiter is not None else None,
            reason=document.get("reason"),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """All changes of one revision in one stack, as far as the watch wants them.

    :param cursor: where to resume so as to see what follows.
    """

    cursor: str
    changes: tuple[Change, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """The event that a document describes."""
        changes = tuple(Change.parse(change) for change in document["changes"])
        return cls(document["cursor"], changes)

    @property
    def ends_stack(self) -> bool:
        """Whether the stack is gone with it."""
        return any(change.type == "stack.delete" for change in self.changes)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts as they stood at one revision.

    :param facts: in order of their paths.
    :param cursor: where to watch from so as to miss nothing.
    :param reset: why everything known before is void and to be replaced; None if nothing was.
    """

    facts: tuple[Fact, ...]
    cursor: str
    reset: str | None = None


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything up to the cursor has been told."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list of facts, in order of their paths.

    :param cursor: of the revision that all pages show; watch from there so as to miss nothing.
    """

    facts: tuple[Fact, ...]
    cursor: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """The page that a document describes."""
        return cls(tuple(Fact.parse(fact) for fact in document["facts"]), document["cursor"])


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a stack knows, compiled at one revision.

    :param document: ``{"stack": name, "facts": nested by path, "members": ...}``.
    :param etag: a hash of the document, without quotes: equal facts, equal etag.
    :param cursor: where to watch from so as to miss nothing.
    """

    document: dict[str, Any]
    etag: str
    cursor: str

    @property
    def facts(self) -> dict[str, Any]:
        """The facts, nested by path: ``context.facts["nodes"]["head"]["ip"]``."""
        facts: dict[str, Any] = self.document["facts"]
        return facts

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        """The living members by name: ``group``, ``state`` and ``attributes`` of each."""
        members: dict[str, dict[str, Any]] = self.document["members"]
        return members

    @property
    def sensitive(self) -> Mapping[str, str]:
        """The etags of sensitive facts by path; in :attr:`facts` their values are None."""
        tags: dict[str, str] = self.document.get("sensitive", {})
        return tags


@dataclass(frozen=True, slots=True)
class Convergence:
    """Which members have applied what the stack is now.

    :param target: the cursor that they have to apply.
    :param lagging: names of those who have not.
    :param applied: by member, the cursor that it has applied; None if it never said.
    """

    converged: bool
    target: str
    lagging: Sequence[str]
    applied: Mapping[str, str | None]
    etag: str

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str) -> Self:
        """What a document tells of convergence."""
        return cls(
            converged=document["converged"],
            target=document["target"],
            lagging=tuple(document["lagging"]),
            applied={member["name"]: member["applied"] for member in document["members"]},
            etag=etag,
        )


@dataclass(frozen=True, slots=True)
class StackRecord:
    """A stack, without what is in it.

    :param settings: such as ``description``.
    :param usage: how much it holds (``facts``, ``bytes``); None where the service does not say.
    """

    name: str
    id: str
    project_id: str
    settings: Mapping[str, Any]
    created_at: str
    updated_at: str
    updated_by: str
    usage: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """The stack that a document describes."""
        return cls(
            name=document["name"],
            id=document["id"],
            project_id=document["project_id"],
            settings=document["settings"],
            created_at=document["created_at"],
            updated_at=document["updated_at"],
            updated_by=document["updated_by"],
            usage=document.get("usage"),
        )


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch: one outcome and one fact for each operation, in their order.

    :param facts: None where the fact is gone.
    :param cursor: of the revision at which all of it holds.
    """

    outcomes: Sequence[Outcome]
    facts: Sequence[Fact | None]
    cursor: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """What a document tells of a batch."""
        results: Sequence[Mapping[str, Any]] = document["results"]
        return cls(
            outcomes=tuple(result["outcome"] for result in results),
            facts=tuple(
                Fact.parse(result["fact"], unchanged=result["outcome"] == "unchanged")
                if result["fact"] is not None
                else None
                for result in results
            ),
            cursor=document["cursor"],
        )
