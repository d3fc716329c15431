"""Members: who takes part in a stack, for as long as they are heard of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from factstore.core.errors import Invalid, TooLarge
from factstore.core.model.record_key import RecordKey
from factstore.core.model.value import canonical, check_value_depth

MemberState = Literal["joining", "ready", "draining", "departed"]
SETTABLE: tuple[MemberState, ...] = ("ready", "draining")

HEARTBEAT_TTL_MIN = 5  # seconds
HEARTBEAT_TTL_MAX = 24 * 3600
HEARTBEAT_TTL_DEFAULT = 30
ATTRIBUTES_LENGTH = 16 * 1024  # characters of canonical JSON
BOUND_FACTS = 500  # facts on one member's lease: they all go in one revision
REASON_PATTERN = r"[a-z][a-z0-9_]{0,63}"
DECLARED_PATTERN = r"[ -~]{1,255}"
GENERATION_PATTERN = r"[0-9a-f]{1,16}"


@dataclass(frozen=True, slots=True)
class Member:
    """One incarnation of a member's name.

    :param attributes: a JSON object's canonical text.
    :param ttl: seconds of silence after which it is gone; None while it is awaited.
    :param reason: why it joined, as far as anybody said; of a departed one why it departed.
    :param version: 1 at the join, one more with each change.
    :param revision: the revision that last changed it; 0 before it is stored.
    :param lease: the store's lease that it and its bound facts hang on; 0 while it is awaited.
    :param declared: what it stands for, in the words of the owner who declared it; None if nobody did.
    :param number: names the incarnation while no lease does; else 0.
    :param told: the revision that last changed what the context tells of it, if it is not *revision*;
        else 0.
    """

    name: str
    group: str
    state: MemberState
    attributes: str
    ttl: int | None
    joined_at: str
    updated_at: str
    updated_by: str
    request_id: str
    reason: str | None = None
    version: int = 1
    revision: int = 0
    lease: int = 0
    declared: str | None = None
    number: int = 0
    told: int = 0
    memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Room for readers to keep what they rendered; it goes with the record."""

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return RecordKey("member", self.name)

    @property
    def generation(self) -> str:
        """This incarnation, opaque: it names the lease that the join made, or the declaration."""
        return f"{self.number or self.lease:x}"

    @property
    def declared_only(self) -> bool:
        """Whether it was declared, and nobody has joined as it yet: silence does not end it."""
        return self.ttl is None

    @property
    def visible_revision(self) -> int:
        """The revision that last changed what other members have to know of it."""
        return self.told or self.revision

    def continues(self, former: Member) -> bool:
        """Whether it is the same incarnation as *former*, or the one that *former* was awaiting."""
        return former.generation == self.generation or (
            former.declared_only and former.declared == self.declared
        )

    @property
    def departed(self) -> bool:
        """Whether it said that it goes; what is left of it goes next."""
        return self.state == "departed"

    @property
    def size(self) -> int:
        """How many bytes it counts."""
        said = len(self.group) + len(self.attributes.encode()) + len(self.declared or "")
        return len(self.name) + said


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """The wish to be a member, or that there be one.  Build it with :meth:`of`, which checks it.

    :param ttl: None for that of the present generation, or for a new one's default.
    :param generation: the present one, to change what a member says; None for a new incarnation.
    :param declared: what the member stands for, of who declares it; None of who joins.
    :param reason: why it joins, in a word.
    """

    group: str
    ttl: int | None
    attributes: str
    generation: str | None = None
    declared: str | None = None
    reason: str | None = None

    @classmethod
    def of(
        cls,
        group: str,
        ttl: int | None = None,
        attributes: Any = None,
        generation: str | None = None,
        declared: str | None = None,
        reason: str | None = None,
    ) -> JoinRequest:
        """A checked wish.

        :param attributes: a parsed JSON object; None for an empty one.
        :raises Invalid: ``ttl_invalid``, ``json_too_deep``, ``json_value`` or ``schema``.
        :raises TooLarge: ``value_too_large``.
        """
        if declared is not None:
            _check_declaration(declared, ttl, generation)
        if reason is not None and not re.fullmatch(REASON_PATTERN, reason):
            raise Invalid(f"reason must be a word that matches {REASON_PATTERN}.", code="schema")
        if ttl is not None and (
            type(ttl) is not int or not HEARTBEAT_TTL_MIN <= ttl <= HEARTBEAT_TTL_MAX
        ):
            raise Invalid(
                "ttl of a member must be a whole number of seconds from "
                f"{HEARTBEAT_TTL_MIN} to {HEARTBEAT_TTL_MAX}.",
                code="ttl_invalid",
            )
        held = {} if attributes is None else attributes
        if not isinstance(held, dict):
            raise Invalid("attributes must be a JSON object.", code="schema")
        check_value_depth(held)
        text = canonical(held)
        if len(text) > ATTRIBUTES_LENGTH:
            raise TooLarge(
                f"attributes are {len(text)} characters as canonical JSON; "
                f"at most {ATTRIBUTES_LENGTH} are allowed.",
                code="value_too_large",
            )
        return cls(group, ttl, text, generation, declared, reason)


def _check_declaration(declared: str, ttl: int | None, generation: str | None) -> None:
    if not re.fullmatch(DECLARED_PATTERN, declared):
        raise Invalid("declared must be 1 to 255 printable ASCII characters.", code="schema")
    if ttl is not None:
        raise Invalid(
            "a member that is declared has no ttl: it departs when it is told to. Leave out ttl, or "
            "declared.",
            code="ttl_invalid",
        )
    if generation is not None:
        raise Invalid(
            "a generation is for the member itself, and declared for others. Leave out one of them.",
            code="schema",
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """Up to which revision a member has put the stack's facts to use.

    :param seen: that revision.
    :param revision: the one that recorded it; 0 before it is stored.
    :param lease: the member's.
    """

    member: str
    seen: int
    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """Where it lies in its stack."""
        return RecordKey("applied", self.member)
