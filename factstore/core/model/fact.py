"""What is stored: stacks and facts, as immutable records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.path import check_name
from factstore.core.model.secret_readers import NOBODY, SecretReader, check_readers
from factstore.core.model.value import canonical, check_value_depth

Kind = Literal["observed", "parameter"]
KINDS: tuple[Kind, ...] = ("observed", "parameter")

TTL_MIN = 5  # seconds
TTL_MAX = 30 * 24 * 3600
DESCRIPTION_LENGTH = 1024

MASK = "null"
"""What stands where the value of a sensitive fact would."""


class Scope(NamedTuple):
    """One stack's name inside one Keystone project: where every request of a tenant takes place."""

    project_id: str
    stack: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, and in which request.

    :param may_set_parameters: whether policy lets this caller write facts of kind ``parameter``.
    :param grant: the id of the grant that the caller holds; nothing is written once it is gone.
    :param reader: which sensitive facts this caller may see.
    """

    user_id: str
    request_id: str
    may_set_parameters: bool = True
    grant: str = ""
    reader: SecretReader = NOBODY


@dataclass(frozen=True, slots=True)
class Stack:
    """The record of a stack.

    :param id: new at each creation, so that a recreated stack shares nothing with its past.
    :param created: the revision that created it; 0 before it is stored.
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

    @property
    def scope(self) -> Scope:
        """The stack's name inside its project."""
        return Scope(self.project_id, self.name)


@dataclass(frozen=True, slots=True)
class Fact:
    """A JSON value at a path.

    :param text: the value's canonical JSON; of a sensitive fact ``null``, so that nobody who shows it
        shows more.
    :param revision: the revision that last changed it; 0 before it is stored.
    :param version: 1 at creation, one more with each change.
    :param ttl: seconds, or None for a fact that stays.
    :param member: the name of the member that it goes with, or None.
    :param lease: the store's lease it hangs on; 0 for none.  Never shown.
    :param sealed: of a sensitive fact its value, sealed; None of
        any other.  Never shown.
    :param readers: who may see a sensitive fact's value beside those whom policy lets.
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
    memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Room for readers to keep what they rendered; it goes with the record."""

    @property
    def sensitive(self) -> bool:
        """Whether its value is sealed."""
        return self.sealed is not None

    @property
    def size(self) -> int:
        """How many bytes it counts: those of its path and of its canonical or sealed value."""
        text = self.text if self.sealed is None else self.sealed
        return len(self.path) + (len(text) if text.isascii() else len(text.encode()))

    def etag(self, epoch: str) -> str:
        """The strong entity tag, without its quotes."""
        return str(Cursor(epoch, self.revision))


@dataclass(frozen=True, slots=True)
class Put:
    """The wish to have a fact at a path.  Build it with :meth:`of`, which checks the limits.

    :param member: the member that it shall go with; the incarnation of it that lives.
    :param generation: only if this incarnation lives; of *member*, or whoever's it is.
    :param sensitive: whether nobody but its readers, and those whom policy lets, may see the value.
    :param sealed: the value sealed, once it is; *text* says nothing then.
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
        """A checked wish.

        :param value: a parsed JSON value.
        :raises Invalid: ``json_too_deep``, ``json_value``, ``ttl_invalid``, ``path_invalid``,
            ``readers_invalid``.
        :raises TooLarge: ``value_too_large``.
        """
        if member is not None:
            check_name(member, "member")
            if ttl is not None:
                raise Invalid(
                    "a fact goes with its member or after its ttl; give one of member and ttl.",
                    code="ttl_invalid",
                )
        if ttl is not None and (type(ttl) is not int or not TTL_MIN <= ttl <= TTL_MAX):
            raise Invalid(
                f"ttl must be a whole number of seconds from {TTL_MIN} to {TTL_MAX}.",
                code="ttl_invalid",
            )
        check_value_depth(value)
        text, named = canonical(value), check_readers(readers, sensitive=sensitive)
        return cls(path, text, kind, ttl, member, generation, sensitive, named)

    def same_as(self, fact: Fact, lease: int) -> bool:
        """Whether storing this over *fact* would change nothing that anybody could see.

        :param lease: of the living incarnation of the member that it goes with; 0 for none.
        """
        return (
            self.text == fact.text
            and self.kind == fact.kind
            and self.ttl == fact.ttl
            and self.member == fact.member
            and (self.member is None or lease == fact.lease)
            and self.sealed == fact.sealed  # which is bound to the readers
        )


@dataclass(frozen=True, slots=True)
class Delete:
    """The wish to have no fact at a path."""

    path: str
