"""Facts that are bound to a member, and writes that only a living incarnation may make."""

from __future__ import annotations

from collections import Counter

from factstore.core.errors import Conflict
from factstore.core.model.fact import Fact, Put
from factstore.core.model.member import BOUND_FACTS, Member
from factstore.core.model.path import quoted
from factstore.core.model.record import RecordKey
from factstore.core.operations.operation import View


class MemberFence:
    """The members that one write of facts depends on.

    :ivar guards: what must hold of them when it is written: none of them has changed.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._added: Counter[int] = Counter()
        self.guards: dict[RecordKey, int] = {}

    def require(self, generation: str) -> Member:
        """Return the living member with that generation, and guard it.

        :raises Conflict: ``generation_stale``.
        """
        stack_state = self._view.stack_state
        member = stack_state.generations.get(generation) if stack_state else None
        if member is None:
            raise stale_generation(generation)
        self.guards[member.record_key] = member.revision
        return member

    def lease(self, put: Put, known: Fact | None) -> int:
        """Return the lease of the member that a fact is bound to; 0 for none.

        :raises Conflict: ``generation_stale``, ``member_missing`` or ``member_full``.
        """
        fenced = self.require(put.generation) if put.generation is not None else None
        if put.member is None:
            return 0
        member = self._view.member(put.member)
        if member is None:
            raise Conflict(
                f"{quoted(put.path)} cannot be bound to {quoted(put.member)}: there is no such member. "
                "Join first.",
                code="member_missing",
                extra={"path": put.path, "member": put.member},
            )
        if member.declared_only:
            raise Conflict(
                f"{quoted(put.path)} cannot be bound to {quoted(put.member)}: the member is declared "
                "and has not joined yet. Put the fact without a member.",
                code="member_missing",
                extra={"path": put.path, "member": put.member},
            )
        if fenced is not None and fenced.name != member.name:
            raise stale_generation(put.generation or "", member.name)
        self.guards[member.record_key] = member.revision
        if known is None or known.lease != member.lease:
            self._check_room(member, put)
        return member.lease

    def _check_room(self, member: Member, put: Put) -> None:
        self._added[member.lease] += 1
        stack_state = self._view.stack_state
        bound = stack_state.leases.paths.get(member.lease, ()) if stack_state else ()
        count = len(bound) + self._added[member.lease]
        if count > BOUND_FACTS:
            raise Conflict(
                f"Member {quoted(member.name)} would have {count} facts bound to it; at most "
                f"{BOUND_FACTS} are allowed. Put some without a member.",
                code="member_full",
                extra={"path": put.path, "member": member.name},
            )


def stale_generation(generation: str, name: str | None = None) -> Conflict:
    """Return the refusal of a generation that is not alive, or never was."""
    owner = f" of member {quoted(name)}" if name else ""
    return Conflict(
        f"{quoted(generation)} is not the current generation{owner}: it departed, expired or was "
        "replaced. Join again to continue.",
        code="generation_stale",
        extra={"generation": generation},
    )
