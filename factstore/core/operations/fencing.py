"""Facts that go with a member, and writes that only a living incarnation may make."""

from __future__ import annotations

from collections import Counter

from factstore.core.errors import Conflict
from factstore.core.model.fact import Fact, Put, Scope
from factstore.core.model.member import BOUND_FACTS, Member
from factstore.core.model.path import quoted
from factstore.core.model.record_key import RecordKey
from factstore.core.state.state import State


class MemberFence:
    """The members that one write of facts is about; hold the state's lock meanwhile.

    :ivar guards: what must hold of them when it is written: nothing of them has changed.
    """

    def __init__(self, state: State, scope: Scope) -> None:
        self._state = state
        self._scope = scope
        self._more: Counter[int] = Counter()
        self.guards: dict[RecordKey, int] = {}

    def fence(self, generation: str) -> Member:
        """The living member whose generation it is.

        :raises Conflict: ``generation_stale``.
        """
        member = self._state.living_by(self._scope, generation)
        if member is None:
            raise stale_generation(generation)
        self.guards[member.record_key] = member.revision
        return member

    def lease(self, wish: Put, known: Fact | None) -> int:
        """The lease of the member that a fact is to go with; 0 for none.

        :raises Conflict: ``generation_stale``, ``member_missing`` or ``member_full``.
        """
        fenced = self.fence(wish.generation) if wish.generation is not None else None
        if wish.member is None:
            return 0
        member = self._state.member(self._scope, wish.member)
        if member is None:
            raise Conflict(
                f"{quoted(wish.path)} cannot go with {quoted(wish.member)}: there is no such member. "
                "Join first.",
                code="member_missing",
                extra={"path": wish.path, "member": wish.member},
            )
        if member.awaited:
            raise Conflict(
                f"{quoted(wish.path)} cannot go with {quoted(wish.member)}: the member "
                "is declared and has not joined yet. Put the fact without a member.",
                code="member_missing",
                extra={"path": wish.path, "member": wish.member},
            )
        if fenced is not None and fenced.name != member.name:
            raise stale_generation(wish.generation or "", member.name)
        self.guards[member.record_key] = member.revision
        if known is None or known.lease != member.lease:
            self._more[member.lease] += 1
            held = self._state.bound(self._scope, member.lease) + self._more[member.lease]
            if held > BOUND_FACTS:
                raise Conflict(
                    f"{held} facts would go with member {quoted(member.name)}; at most {BOUND_FACTS} "
                    "do. Put some without a member.",
                    code="member_full",
                    extra={"path": wish.path, "member": member.name},
                )
        return member.lease


def stale_generation(generation: str, name: str | None = None) -> Conflict:
    """The refusal of who lives no more, or never did."""
    whose = f" of member {quoted(name)}" if name else ""
    return Conflict(
        f"{quoted(generation)} is not the living generation{whose}: it departed, expired, or another "
        "took its name. Join again to go on.",
        code="generation_stale",
        extra={"generation": generation},
    )
