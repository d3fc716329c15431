"""What becomes of a member that lives: its state, its end, what it has applied; each decided purely.

The service that carries it through is :class:`factstore.core.services.members.Members`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from factstore.core.errors import Conflict, NotFound
from factstore.core.model.fact import Author, Scope
from factstore.core.model.member import Applied, Member
from factstore.core.model.path import quoted
from factstore.core.model.quota import Quota
from factstore.core.model.record_key import RecordKey
from factstore.core.operations.fact_plan import Plan
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.transactor import Operation
from factstore.core.ports import Store, Transaction
from factstore.core.state.state import State

LEAVING = 30
"""Seconds after which a departed member that had no lease goes, if nobody removes it at once."""


class UpdateMember(Operation):
    """Another state of a member that lives.

    :param change: the member as it shall be; itself if nothing is to change.
    """

    def __init__(
        self,
        scope: Scope,
        name: str,
        generation: str | None,
        author: Author,
        now: str,
        change: Callable[[Member], Member],
    ) -> None:
        self.scope = scope
        self._name = name
        self._generation = generation
        self._author = author
        self._now = now
        self._change = change

    def plan(self, state: State, quota: Quota) -> Plan:
        with state.read():
            member = living_member(state, self.scope, self._name, self._generation)
            stack = state.stack(self.scope)
            planned_at = state.revision
        assert stack is not None  # noqa: S101 - it has a member
        changed = self._change(member)
        commit = Transaction(
            stack, planned_at, state.epoch, guards={member.record_key: member.revision}
        )
        if changed is member:
            return Plan(commit, (member, False))
        changed = replace(
            changed,
            version=member.version + 1,
            updated_at=self._now,
            updated_by=self._author.user_id,
            request_id=self._author.request_id,
            told=0,
            memo={},
        )
        return Plan(replace(commit, records=(changed,)), (changed, True))


class DepartMember(UpdateMember):
    """The last state of a member: it goes with its lease.

    Who was awaited has none, and is given a short one to go with.

    :param declared: as what the member must be declared; None to let it go whatever it is.
    :ivar granted: the lease that was made for it; 0 if there is none.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        name: str,
        generation: str | None,
        author: Author,
        now: str,
        reason: str,
        declared: str | None,
    ) -> None:
        super().__init__(scope, name, generation, author, now, self._departed)
        self.granted = 0
        self._store = store
        self._reason = reason
        self._declared = declared

    def _departed(self, member: Member) -> Member:
        if self._declared not in (None, member.declared):
            raise declared_otherwise(member)
        return replace(member, state="departed", reason=self._reason)

    def prepare(self, plan: Plan, state: State) -> Plan:
        member, changed = plan.results
        if member.lease:
            return plan
        if not self.granted:
            self.granted = self._store.create_lease(LEAVING, self.deadline)
        member = replace(member, lease=self.granted)
        commit = replace(
            plan.commit, records=(member,), removes=(RecordKey("applied", member.name),)
        )
        return replace(plan, commit=commit, results=(member, changed))


class RecordApplied(Operation):
    """Noting what a member has applied, if that is more than is known and matters to anybody."""

    def __init__(self, scope: Scope, member: Member, seen: int, deadline: float) -> None:
        self.scope, self.deadline = scope, deadline
        self._member = member
        self._seen = seen

    def plan(self, state: State, quota: Quota) -> Plan:
        with state.read():
            member = living_member(state, self.scope, self._member.name, self._member.generation)
            stack, planned_at = state.stack(self.scope), state.revision
            contents = state.space(self.scope)
            assert stack is not None  # noqa: S101 - it has a member
            assert contents is not None  # noqa: S101
            known = contents.applied.get(member.name, 0)
            target = contents.target
            place = RecordKey("applied", member.name)
            record = contents.tables["applied"].get(member.name)
        if self._seen <= known or known >= target:
            return Plan(
                Transaction(
                    stack, planned_at, state.epoch, guards={member.record_key: member.revision}
                )
            )
        applied = Applied(member.name, self._seen, lease=member.lease)
        guards = {member.record_key: member.revision, place: record.revision if record else 0}
        return Plan(Transaction(stack, planned_at, state.epoch, guards=guards, records=(applied,)))


def living_member(state: State, scope: Scope, name: str, generation: str | None) -> Member:
    """The living member of a name.

    :param generation: which it must be; None for whichever lives.
    :raises NotFound: there is none.
    :raises Conflict: ``generation_stale``.
    """
    member = state.member(scope, name)
    if state.stack(scope) is None:  # whoever joined again would bring a deleted stack back
        raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
    if generation is not None and (member is None or member.generation != generation):
        raise stale_generation(generation, name)
    if member is None:
        raise missing(scope, name)
    return member


def declared_otherwise(member: Member) -> Conflict:
    """The refusal of who takes a member for another than it was declared as."""
    how = "not declared" if member.declared is None else f"declared as {quoted(member.declared)}"
    return Conflict(
        f"member {quoted(member.name)} is {how}. Choose another name, or let that one depart first.",
        code="member_declared",
        extra={"member": member.name, "declared": member.declared},
    )


def missing(scope: Scope, name: str) -> NotFound:
    """The refusal of what is about a member that is not there."""
    return NotFound(f"there is no member {quoted(name)} in a stack named {quoted(scope.stack)}.")
