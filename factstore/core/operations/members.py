"""Joining a stack as a member, changing what a member states about itself, and declaring a member.

An owner may declare a member before it joins or afterwards.  A declaration does not change what a
living member states about itself.  Nor does it create a stack: declarations often arrive late, and
would recreate a stack that was deleted.
"""

from __future__ import annotations

import secrets
from dataclasses import field, replace
from typing import Any, Literal

from factstore.core.errors import Conflict
from factstore.core.model.fact import Author, Scope
from factstore.core.model.member import (
    HEARTBEAT_TTL_DEFAULT,
    Applied,
    Declaration,
    JoinRequest,
    Member,
)
from factstore.core.model.path import quoted
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import RecordKey
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.idempotency import Idempotency, key_reused
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.operations.pulses import guard_on_endings, is_ending, revive

JoinOutcome = Literal["created", "replaced", "adopted", "updated", "unchanged"]
NEW_INCARNATION: tuple[JoinOutcome, ...] = ("created", "replaced", "adopted")
"""Outcomes that make a new incarnation."""

_INCARNATION_BITS = 62  # as the store numbers its leases
_DIGITS = 32  # of each hash in a join key


@quick_dataclass(frozen=True, slots=True)
class JoinResult:
    """The member after the join, and the outcome of the join."""

    member: Member
    outcome: JoinOutcome


@quick_dataclass(slots=True)
class JoinMember(Operation[JoinResult]):
    """Join, change what the present generation states, or declare a member.

    A member that joins a declared name *adopts* it: to all others it stays the same member.

    :param request_key: recognizes a repeated join; None if the caller does not repeat it.
    :param precondition: on the living member; a repeated join meets it.
    """

    scope: Scope
    name: str
    request: JoinRequest
    author: Author
    request_key: Idempotency | None = None
    precondition: Precondition = ANY
    incarnation_id: int = field(default_factory=lambda: secrets.randbits(_INCARNATION_BITS) + 1)
    """Names an incarnation that has no lease, because it is only declared."""

    @property
    def creates_stack(self) -> bool:
        """Return whether a missing stack is created: by a join, but not by a declaration."""
        return self.request.declared is None

    def plan(self, view: View) -> Draft[JoinResult]:
        """Return the draft of the join.

        :raises NotFound: a member is declared in a stack that does not exist.
        :raises PreconditionFailed: *precondition* is not met.
        :raises Conflict: ``generation_stale``, ``member_ttl_fixed``, ``member_declared`` or
            ``idempotency_key_reused``.
        """
        key = RecordKey(Member, self.name)
        known = view.record(key)
        living = view.member(self.name)
        # One that has been chosen to end is still there, and cannot be kept alive.
        alive = living if living is not None and not is_ending(view, living.lease) else None
        repeated = self._repeats_join_of(alive)
        if not repeated:
            check_member(self.precondition, view, self.name, living)
        outcome, member = self._decide(living, alive, view, repeated=repeated)
        stored = view.record(RecordKey(Declaration, self.name))
        noted = stored if isinstance(stored, Declaration) else None
        record_revisions = {
            key: known.revision if known else 0,
            RecordKey(Declaration, self.name): noted.revision if noted else 0,
        }
        declaring = self.request.declared is not None
        new = self._new_declaration(noted, living, member, view.now)
        declarations = (new,) if new else ()
        if outcome not in NEW_INCARNATION:
            # A declaration does not keep a member alive.
            renews = () if declaring or member.declared_only else (member.lease,)
            revival = revive(view, renews)
            if renews:
                record_revisions |= guard_on_endings(view)
            written = declarations if outcome == "unchanged" else (member, *declarations)
            return Draft(
                JoinResult(member, outcome),
                records=(*written, *revival.records),
                record_revisions={**record_revisions, **revival.record_revisions},
                leases=revival.leases,
                renews=() if revival.restored else renews,
            )
        return Draft(
            JoinResult(member, outcome),
            records=(member, *declarations),
            removes=(RecordKey(Applied, self.name), RecordKey(ReadSet, self.name)),
            record_revisions=record_revisions,
            leases={} if member.ttl is None else {key: LeaseRequest(member.ttl, monitored=True)},
            ends=(living.lease,) if living is not None else (),
        )

    def _decide(
        self, living: Member | None, alive: Member | None, view: View, *, repeated: bool
    ) -> tuple[JoinOutcome, Member]:
        request = self.request
        if request.declared is not None:
            return self._declare(living, request.declared, view)
        if request.generation is not None:
            return self._update(alive, request.generation, view)
        ttl = request.ttl or HEARTBEAT_TTL_DEFAULT
        join_key = self._join_key()
        if living is None:
            return "created", self._new_member(view, ttl, join_key=join_key)
        if repeated:
            return "unchanged", living
        if living.declared_only:
            changes = {"state": "joining", "ttl": ttl, "number": 0, "join_key": join_key}
            return "adopted", self._changed(living, view, **changes)
        new = self._new_member(view, ttl, declared=living.declared, join_key=join_key)
        return "replaced", new

    def _new_declaration(
        self, known: Declaration | None, living: Member | None, member: Member, now: str
    ) -> Declaration | None:
        """Return the declaration to write; None if it is current or the member is not declared."""
        request, author = self.request, self.author
        if member.declared is None:
            return None
        stated: Member | JoinRequest = member
        if request.declared is not None:
            stated = request
            if known and (known.group, known.attributes) == (stated.group, stated.attributes):
                return None
        elif known is not None:
            return None
        elif living is not None:  # an earlier version wrote it
            stated = living
        number = known.number if known else (living.number if living else 0)
        return Declaration(
            self.name, member.declared, stated.group, stated.attributes,
            number or member.number or self.incarnation_id, member.joined_at,
            now, author.user_id, author.request_id, known.reason if known else member.reason,
        )  # fmt: skip

    def _join_key(self) -> str:
        given = self.request_key
        return f"{given.key[:_DIGITS]}.{given.fingerprint[:_DIGITS]}" if given else ""

    def _repeats_join_of(self, living: Member | None) -> bool:
        """Return True if the living incarnation joined with this request.

        :raises Conflict: ``idempotency_key_reused``.
        """
        request = self.request
        if living is None or request.generation is not None or request.declared is not None:
            return False
        if self.request_key is None or not living.join_key.startswith(
            f"{self.request_key.key[:_DIGITS]}."
        ):
            return False
        if living.join_key != self._join_key():
            raise key_reused()
        return True

    def _update(
        self, living: Member | None, generation: str, view: View
    ) -> tuple[JoinOutcome, Member]:
        ttl = self.request.ttl
        if living is None or living.generation != generation:
            raise stale_generation(generation, self.name)
        if ttl not in (None, living.ttl):
            has = "has no ttl" if living.declared_only else f"has a ttl of {living.ttl} seconds"
            raise Conflict(
                f"Member {quoted(self.name)} {has}, which its generation keeps. To get "
                "another ttl, join without a generation.",
                code="member_ttl_fixed",
            )
        return self._update_if_changed(living, view)

    def _declare(
        self, living: Member | None, declared: str, view: View
    ) -> tuple[JoinOutcome, Member]:
        if living is None:
            new = self._new_member(view, None, declared=declared, number=self.incarnation_id)
            return "created", new
        if living.declared is None:
            noted = self._changed(
                living,
                view,
                group=living.group,
                attributes=living.attributes,
                declared=declared,
                told=living.visible_revision,
                listed=living.listed,
            )
            return "updated", noted
        if living.declared != declared:
            raise declared_otherwise(living)
        if living.declared_only:
            return self._update_if_changed(living, view)
        return "unchanged", living

    def _update_if_changed(self, living: Member, view: View) -> tuple[JoinOutcome, Member]:
        if (living.group, living.attributes) == (self.request.group, self.request.attributes):
            return "unchanged", living
        return "updated", self._changed(living, view)

    def _new_member(self, view: View, ttl: int | None, **fields: Any) -> Member:
        request, author = self.request, self.author
        return Member(
            self.name, request.group, "joining", request.attributes, ttl, view.now, view.now,
            author.user_id, author.request_id, request.reason,
            cause=author.cause_in(view.state.epoch), **fields,
        )  # fmt: skip

    def _changed(self, living: Member, view: View, **fields: Any) -> Member:
        """Return the member with the request's group and attributes, unless *fields* give others."""
        request, author = self.request, self.author
        stated: dict[str, Any] = {
            "group": request.group,
            "attributes": request.attributes,
            "told": 0,
            "listed": 0,
        }
        return replace(
            living,
            **(stated | fields),
            reason=request.reason or living.reason,
            version=living.version + 1,
            updated_at=view.now,
            updated_by=author.user_id,
            request_id=author.request_id,
            cause=author.cause_in(view.state.epoch),
            memo={},
        )


def check_member(precondition: Precondition, view: View, name: str, living: Member | None) -> None:
    """Check a precondition on a member.

    :raises PreconditionFailed: it is not met.
    """
    etag = living.etag(view.state.epoch) if living is not None else None
    precondition.check(f"member {quoted(name)}", etag)


def declared_otherwise(member: Member) -> Conflict:
    """Return the refusal of a caller that takes a member for another than it was declared as."""
    how = "not declared" if member.declared is None else f"declared as {quoted(member.declared)}"
    return Conflict(
        f"Member {quoted(member.name)} is {how}. Choose another name, or remove that member first.",
        code="member_declared",
        extra={"member": member.name, "declared": member.declared},
    )
