"""The responses of the service as immutable records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from factstore.client.conditional import unquoted

if TYPE_CHECKING:
    from typing import Self

Outcome = Literal["created", "updated", "unchanged", "deleted", "absent"]


@dataclass(frozen=True)
class Fact:
    """A JSON value at a path.

    :param value: the value, as :mod:`json` reads it.  The value of a sensitive fact is None, except in
        the response to reading or putting that one fact.
    :param kind: ``observed`` or ``parameter``.
    :param revision: the revision that last changed the fact.
    :param version: 1 at creation, and one more with each change.
    :param etag: the value for ``if_match`` or ``if_none_match``, without quotes.
    :param created_at: ISO 8601, UTC, as is *updated_at*.
    :param updated_by: the id of the user who last changed the fact.
    :param ttl: time to live in seconds after each write; None for a fact that does not expire.
    :param member: the member that the fact is bound to, or None.
    :param sensitive: whether the value is sealed and shown only to permitted callers.
    :param readers: the groups and members that may see a sensitive value, in addition to the callers
        that policy allows.
    :param unchanged: True if a write changed nothing and notified no watcher.
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
        """Return the fact in a document.  Unknown fields are ignored."""
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


@dataclass(frozen=True)
class Page:
    """One page of a list of facts, in the order of their paths.

    :param cursor: the cursor of the revision that all pages show; watch from here to miss no change.
    """

    facts: tuple[Fact, ...]
    cursor: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the page in a document."""
        return cls(tuple(Fact.parse(fact) for fact in document["facts"]), document["cursor"])


@dataclass(frozen=True)
class Context:
    """The context of a stack at one revision.

    :param document: ``{"stack": name, "facts": nested by path, "members": ...}``.
    :param etag: a hash of the document, without quotes; equal facts have equal etags.
    :param cursor: watch from here to miss no change.
    """

    document: dict[str, Any]
    etag: str
    cursor: str

    @classmethod
    def parse(cls, document: dict[str, Any], headers: Mapping[str, str]) -> Self:
        """Return the context in a response."""
        return cls(document, unquoted(headers["ETag"]), headers["Factstore-Cursor"])

    @property
    def facts(self) -> dict[str, Any]:
        """The facts, nested by path: ``context.facts["nodes"]["head"]["ip"]``."""
        facts: dict[str, Any] = self.document["facts"]
        return facts

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        """The live members by name, each with ``group``, ``state`` and ``attributes``."""
        members: dict[str, dict[str, Any]] = self.document["members"]
        return members

    @property
    def sensitive(self) -> Mapping[str, str]:
        """The etags of sensitive facts by path.  In :attr:`facts`, their values are None."""
        tags: dict[str, str] = self.document.get("sensitive", {})
        return tags


@dataclass(frozen=True)
class Convergence:
    """The progress of members in applying the current state of the stack.

    :param target: the cursor that members have to apply.
    :param lagging: the names of the members that have not applied the target.
    :param applied: the cursor that each member has applied; None if it has reported none.
    :param concerned: the number of members that the change at the target concerns.
    """

    converged: bool
    target: str
    lagging: Sequence[str]
    applied: Mapping[str, str | None]
    etag: str
    concerned: int | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str) -> Self:
        """Return the convergence in a document."""
        return cls(
            converged=document["converged"],
            target=document["target"],
            lagging=tuple(document["lagging"]),
            applied={member["name"]: member["applied"] for member in document["members"]},
            etag=etag,
            concerned=document.get("concerned"),
        )


@dataclass(frozen=True)
class StackRecord:
    """The settings and usage of a stack.

    :param settings: such as ``description``.
    :param usage: the numbers of ``facts`` and ``bytes``; None in lists.
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
        """Return the stack in a document."""
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


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch: one outcome and one fact for each operation, in their order.

    :param facts: None for a fact that does not exist after the batch.
    :param cursor: the cursor of the revision of the batch.
    :param deleted: the number of facts that each operation on a prefix deleted; None for others.
    """

    outcomes: Sequence[Outcome]
    facts: Sequence[Fact | None]
    cursor: str
    deleted: Sequence[int | None] = ()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the result in a document."""
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
            deleted=tuple(result.get("deleted") for result in results),
        )


@dataclass(frozen=True)
class DeletedFolder:
    """The outcome of the deletion of a folder.

    :param deleted: the number of facts.
    :param revisions: the number of revisions in which they were deleted.
    :param cursor: the cursor of a revision at which the folder was empty.
    """

    deleted: int
    revisions: int
    cursor: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the outcome in a document."""
        return cls(document["deleted"], document["revisions"], document["cursor"])
