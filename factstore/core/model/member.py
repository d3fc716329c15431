"""Members take part in a stack as long as they send heartbeats."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any, Literal

from factstore.core.errors import Invalid, TooLarge
from factstore.core.model.cursor import Cursor
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.value import canonical, check_value_depth

MemberState = Literal["joining", "ready", "draining", "departed"]
SETTABLE: tuple[MemberState, ...] = ("ready", "draining")

HEARTBEAT_TTL_MIN = 5  # seconds
HEARTBEAT_TTL_MAX = 24 * 3600
HEARTBEAT_TTL_DEFAULT = 30
ATTRIBUTES_LENGTH = 16 * 1024  # characters of canonical JSON
BOUND_FACTS = 500  # facts on one member's lease: they all expire in one revision
REASON_PATTERN = r"[a-z][a-z0-9_]{0,63}"
DECLARED_PATTERN = r"[ -~]{1,255}"
GENERATION_PATTERN = r"[0-9a-f]{1,16}"


@quick_dataclass(frozen=True, slots=True)
class Member(Record):
    """One incarnation of a member.

    :param attributes: a JSON object's canonical text.
    :param ttl: seconds without a heartbeat after which it expires; None until it has joined.
    :param reason: why it joined, if that was stated; of a departed member, why it departed.
    :param version: 1 at the join, incremented with each change.
    :param revision: the revision that last changed it; 0 before it is stored.
    :param lease: the store's lease that it and its bound facts are attached to; 0 until it has joined.
    :param declared: the resource that it represents, as declared by the stack's owner; None if it was
        not declared.
    :param number: identifies the incarnation as long as it has no lease; otherwise 0.
    :param told: the revision that last changed the member in the context, if it is not *revision*;
        otherwise 0.
    :param listed: the revision that last changed more of it than its state, if the one of its last
        visible change did not; otherwise, and for a member that has had no read set, 0.
    :param join_key: identifies the request that joined, so that its repetition is recognized; empty if
        the request had no idempotency key.
    :param cause: the revision on which the author of the last change acted, as the author stated; 0 if
        it stated none.
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
    declared: str | None = None
    number: int = 0
    told: int = 0
    listed: int = 0
    join_key: str = ""
    cause: int = 0
    memo: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Renderings that readers cache with the record."""

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Member, self.name)

    @property
    def generation(self) -> str:
        """An opaque name of this incarnation, derived from its lease or its declaration."""
        return f"{self.number or self.lease:x}"

    def etag(self, epoch: str) -> str:
        """Return the entity tag, without its quotes."""
        return str(Cursor(epoch, self.revision or self.told))

    @property
    def declared_only(self) -> bool:
        """True if it was declared and has not joined yet; such a member does not expire."""
        return self.ttl is None

    @property
    def visible_revision(self) -> int:
        """The revision of its last change that other members have to apply."""
        return self.told or self.revision

    @property
    def listed_revision(self) -> int:
        """The revision of its last visible change that was not only one of its state."""
        return self.listed or self.visible_revision

    def continues(self, former: Member) -> bool:
        """Return True if it is the incarnation of *former*, or both stand for what was declared.

        A member that joins a declared name, or leaves it, changes; it is declared all the time.
        """
        return former.generation == self.generation or (
            (former.declared_only or self.declared_only) and former.declared == self.declared
        )

    def counts(self, group: str, include_draining: bool) -> bool:
        """Return True if conditions and convergence count it among the members of a group.

        :param group: empty for all members.
        :param include_draining: True if draining members count too.
        """
        if self.departed or (self.state == "draining" and not include_draining):
            return False
        return group in ("", self.group)

    @property
    def departed(self) -> bool:
        """True if it has departed; its record is deleted next."""
        return self.state == "departed"

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        attributes = len(self.attributes.encode())
        return len(self.name) + len(self.group) + attributes + len(self.declared or "")


@quick_dataclass(frozen=True, slots=True)
class Declaration(Record):
    """An owner's statement that a member exists.

    It is attached to no lease, so that it outlives the incarnations that join.  While none is live, the
    member is :meth:`awaited`.

    :param number: identifies the awaited member, like an incarnation.
    """

    name: str
    declared: str
    group: str
    attributes: str
    number: int
    joined_at: str
    updated_at: str
    updated_by: str
    request_id: str
    reason: str | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Declaration, self.name)

    def awaited(self) -> Member:
        """Return the member as long as no incarnation of it is live.

        All workers derive the same member from the declaration.  It has no record of its own, so its
        revision is 0, which guards against a record.
        """
        return Member(
            self.name, self.group, "joining", self.attributes, None, self.joined_at,
            self.updated_at, self.updated_by, self.request_id, self.reason,
            declared=self.declared, number=self.number, told=self.revision,
        )  # fmt: skip


@quick_dataclass(frozen=True, slots=True)
class JoinRequest:
    """A request to join or to declare a member.  Create it with :meth:`of`, which checks the limits.

    :param ttl: seconds; None for the ttl of the current generation, or the default of a new one.
    :param generation: the current generation, to change its member; None for a new incarnation.
    :param declared: the resource that the member represents, to declare it; None to join.
    :param reason: why it joins, as one word.
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
        """Return a checked request.

        :param attributes: a parsed JSON object; None for an empty one.
        :raises Invalid: ``ttl_invalid``, ``json_too_deep``, ``json_value`` or ``schema``.
        :raises TooLarge: ``value_too_large``.
        """
        if declared is not None:
            _check_declaration(declared, ttl, generation)
        if reason is not None and not re.fullmatch(REASON_PATTERN, reason):
            raise Invalid(
                f"Field 'reason' must be a word that matches {REASON_PATTERN}.", code="schema"
            )
        if ttl is not None and (
            type(ttl) is not int or not HEARTBEAT_TTL_MIN <= ttl <= HEARTBEAT_TTL_MAX
        ):
            raise Invalid(
                "The ttl of a member must be a whole number of seconds from "
                f"{HEARTBEAT_TTL_MIN} to {HEARTBEAT_TTL_MAX}.",
                code="ttl_invalid",
            )
        document = {} if attributes is None else attributes
        if not isinstance(document, dict):
            raise Invalid("Field 'attributes' must be a JSON object.", code="schema")
        check_value_depth(document)
        text = canonical(document)
        if len(text) > ATTRIBUTES_LENGTH:
            raise TooLarge(
                f"Field 'attributes' has {len(text)} characters as canonical JSON; "
                f"at most {ATTRIBUTES_LENGTH} are allowed.",
                code="value_too_large",
            )
        return cls(group, ttl, text, generation, declared, reason)


def _check_declaration(declared: str, ttl: int | None, generation: str | None) -> None:
    if not re.fullmatch(DECLARED_PATTERN, declared):
        raise Invalid(
            "Field 'declared' must be 1 to 255 printable ASCII characters.", code="schema"
        )
    if ttl is not None:
        raise Invalid(
            "A declared member has no ttl: it does not expire. Leave out ttl or declared.",
            code="ttl_invalid",
        )
    if generation is not None:
        raise Invalid(
            "Field 'generation' is sent by the member itself, and 'declared' by the stack's owner. "
            "Leave out one of them.",
            code="schema",
        )


@quick_dataclass(frozen=True, slots=True)
class Applied(Record):
    """The revision up to which a member has applied the stack's facts.

    :param seen: that revision.
    :param revision: the one that recorded it; 0 before it is stored.
    :param lease: the member's.
    """

    member: str
    seen: int

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(Applied, self.member)
