"""Stacks and facts, as immutable records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Literal, NamedTuple

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.path import check_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.secret_readers import NOBODY, SecretReader, check_readers
from factstore.core.model.value import canonical, check_value_depth

Kind = Literal["observed", "parameter"]
KINDS: tuple[Kind, ...] = ("observed", "parameter")

TTL_MIN = 5  # seconds
TTL_MAX = 30 * 24 * 3600
DESCRIPTION_LENGTH = 1024

MASK = "null"
"""The text that replaces the value of a sensitive fact."""


class Scope(NamedTuple):
    """The name of a stack in a Keystone project."""

    project_id: str
    stack: str


@quick_dataclass(frozen=True, slots=True)
class Author:
    """The author of a change, and the request that makes it.

    :param may_set_parameters: True if policy allows the caller to write facts of kind ``parameter``.
    :param grant: the id of the caller's grant, or empty; a write requires that the grant still exists.
    :param reader: decides which sensitive facts the caller may see.
    :param cause: the cursor on which the caller acted, as it states; None if it states none.
    """

    user_id: str
    request_id: str
    may_set_parameters: bool = True
    grant: str = ""
    reader: SecretReader = NOBODY
    cause: Cursor | None = None

    def cause_in(self, epoch: str) -> int:
        """Return the revision on which the caller acted; 0 for none, or one of another store."""
        return self.cause.revision if self.cause is not None and self.cause.epoch == epoch else 0


@quick_dataclass(frozen=True, slots=True)
class Stack:
    """The record of a stack.

    :param id: new at each creation, so that a recreated stack shares nothing with a deleted one.
    :param created: the revision that created it; 0 before it is stored.
    :param keep_values: how many earlier values are kept of each fact.
    """

    project_id: str
    name: str
    id: str
    description: str
    created_at: str
    updated_at: str
    updated_by: str
    request_id: str
    revision: int = 0
    created: int = 0
    keep_values: int = 0
    scope: Scope = field(init=False, compare=False, repr=False)
    """The name of the stack in its project."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scope", Scope(self.project_id, self.name))

    def etag(self, epoch: str) -> str:
        """Return the entity tag of the settings, without its quotes."""
        return str(Cursor(epoch, self.revision))


@quick_dataclass(frozen=True, slots=True)
class Fact:
    """A JSON value at a path.

    :param text: the value's canonical JSON; ``null`` for a sensitive fact, so that no code can show its
        value by mistake.
    :param revision: the revision that last changed it; 0 before it is stored.
    :param version: 1 at creation, incremented with each change.
    :param ttl: seconds, or None for a fact that does not expire.
    :param member: the name of the member that the fact is bound to, or None.
    :param lease: the store's lease that the fact is attached to; 0 for none.  It is never shown.
    :param created: the revision that created it; 0 before it is stored.
    :param sealed: the sealed value of a sensitive fact, otherwise None.  It is never shown.
    :param readers: the groups and members that may see a sensitive value, in addition to callers whom
        policy allows.
    :param cause: the revision on which its author acted, as the author stated; 0 if it stated none.
    """

    path: str
    text: str
    kind: Kind
    created_at: str
    updated_at: str
    updated_by: str
    request_id: str
    ttl: int | None = None
    member: str | None = None
    version: int = 1
    revision: int = 0
    lease: int = 0
    sealed: str | None = None
    readers: tuple[str, ...] = ()
    created: int = field(default=0, compare=False, repr=False)
    cause: int = 0
    memo: dict[str, str] | None = field(default=None, compare=False, repr=False)
    """Renderings that readers cache with the record; None if there are none, as of most facts."""
    size: int = field(init=False, compare=False, repr=False)
    """The bytes that count towards quotas: those of the path and the canonical or sealed value."""

    def __post_init__(self) -> None:
        text = self.text if self.sealed is None else self.sealed
        size = len(self.path) + (len(text) if text.isascii() else len(text.encode()))
        self.size = size  # type: ignore[misc]

    @property
    def sensitive(self) -> bool:
        """True if the value is sealed."""
        return self.sealed is not None

    def at(self, revision: int) -> Fact:
        """Return the fact as it is written at a revision."""
        return self.stored(revision, self.created, self.version, self.lease)

    def stored(self, revision: int, created: int, version: int, lease: int) -> Fact:
        """Return the fact with what the store knows, in a quarter of the time of ``replace``."""
        return Fact(
            self.path,
            self.text,
            self.kind,
            self.created_at,
            self.updated_at,
            self.updated_by,
            self.request_id,
            self.ttl,
            self.member,
            version,
            revision,
            lease,
            self.sealed,
            self.readers,
            created,
            self.cause,
        )

    def complete(self, revision: int) -> Fact:
        """Return the fact as it was written at a revision; only its writer may have it so far."""
        if self.revision:
            return self.stored(revision, self.created or revision, self.version, self.lease)
        # Nobody else has seen the fact, so a copy would only cost time.
        self.revision = revision  # type: ignore[misc]
        if not self.created:
            self.created = revision  # type: ignore[misc]
        return self

    def remember(self, key: str, text: str) -> None:
        """Cache a rendering with the record."""
        if self.memo is None:
            self.memo = {}  # type: ignore[misc]
        self.memo[key] = text

    def etag(self, epoch: str) -> str:
        """Return the strong entity tag, without its quotes."""
        return f"{epoch}.{self.revision}"


@quick_dataclass(frozen=True, slots=True)
class Put:
    """A request to store a fact.  Create it with :meth:`of`, which checks the limits.

    :param member: the member whose living incarnation the fact is bound to.
    :param generation: the generation that must be alive; of *member*, or of any member without it.
    :param sensitive: True if only its readers, and callers whom policy allows, may see the value.
    :param sealed: the sealed value, once it is sealed; *text* is a placeholder then.
    """

    path: str
    text: str = field(repr=False)
    kind: Kind = "observed"
    ttl: int | None = None
    member: str | None = None
    generation: str | None = None
    sensitive: bool = False
    readers: tuple[str, ...] = ()
    sealed: str | None = None

    @classmethod
    def of(
        cls,
        path: str,
        value: Any,
        kind: Kind = "observed",
        ttl: int | None = None,
        *,
        member: str | None = None,
        generation: str | None = None,
        sensitive: bool = False,
        readers: Sequence[str] = (),
    ) -> Put:
        """Return a checked request.

        :param value: a parsed JSON value.
        :raises Invalid: ``json_too_deep``, ``json_value``, ``ttl_invalid``, ``path_invalid``,
            ``readers_invalid``.
        :raises TooLarge: ``value_too_large``.
        """
        if member is not None:
            check_name(member, "member")
            if ttl is not None:
                raise Invalid(
                    "A fact expires with its member or after its ttl; give either member or ttl.",
                    code="ttl_invalid",
                )
        if ttl is not None and (type(ttl) is not int or not TTL_MIN <= ttl <= TTL_MAX):
            raise Invalid(
                f"Field 'ttl' must be a whole number of seconds from {TTL_MIN} to {TTL_MAX}.",
                code="ttl_invalid",
            )
        check_value_depth(value)
        text, named = canonical(value), check_readers(readers, sensitive=sensitive)
        return cls(path, text, kind, ttl, member, generation, sensitive, named)

    @classmethod
    def plain(cls, path: str, value: Any) -> Put:
        """Return a checked request that states only a value, as :meth:`of` does."""
        if type(value) is not str:
            check_value_depth(value)
        return cls(path, canonical(value))

    def same_as(self, fact: Fact, lease: int) -> bool:
        """Return True if storing this over *fact* would change nothing that a reader could see.

        :param lease: of the living incarnation of *member*; 0 for none.
        """
        return (
            self.text == fact.text
            and self.kind == fact.kind
            and self.ttl == fact.ttl
            and self.member == fact.member
            and (self.member is None or lease == fact.lease)
            and self.sealed == fact.sealed  # the sealed value is bound to the readers
        )


@quick_dataclass(frozen=True, slots=True)
class Delete:
    """A request to delete the fact at a path."""

    path: str


@quick_dataclass(frozen=True, slots=True)
class DeletePrefix:
    """A request to delete all facts at and below a path.

    :param itself: False to leave out a fact at the path itself.
    :param in_pieces: True to delete only as many facts as fit into one write.
    """

    path: str
    itself: bool = True
    in_pieces: bool = False
