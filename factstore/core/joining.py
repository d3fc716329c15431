"""What becomes of a member's wishes: joining, changing, noting what was applied; each decided purely.

The service that carries them through is :class:`factstore.core.members.Members`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from factstore.core.carrying import Attempt
from factstore.core.companions import stale
from factstore.core.contents import Usage
from factstore.core.errors import Conflict, NotFound
from factstore.core.fact import Author, Scope, Stack
from factstore.core.member import HEARTBEAT_TTL_DEFAULT, Applied, Joining, Member
from factstore.core.path import shown
from factstore.core.place import Place
from factstore.core.plan import NOTHING, Plan
from factstore.core.ports import Clock, Commit, Store
from factstore.core.quota import Growth, Quota, admit
from factstore.core.state import State

JoinOutcome = Literal["created", "replaced", "updated", "unchanged"]


class Join(Attempt):
    """Becoming a member, or with the present generation saying something else.

    :ivar granted: the lease that was made for it; 0 if there is none yet.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_stack: Callable[[Scope, Author], Stack],
        scope: Scope,
        name: str,
        wish: Joining,
        author: Author,
    ) -> None:
        self.scope = scope
        self.granted = 0
        self._store = store
        self._clock = clock
        self._new_stack = new_stack
        self._name = name
        self._wish = wish
        self._author = author

    def plan(self, state: State, quota: Quota) -> Plan:
        name, wish, author, now = self._name, self._wish, self._author, self._clock.timestamp()
        with state.read():
            known = state.record(self.scope, Place("member", name))
            assert known is None or isinstance(known, Member)  # noqa: S101 - its place says so
            stack = state.stack(self.scope)
            project = state.project_usage(self.scope.project_id)
            usage = state.usage(self.scope) or Usage(0, 0)
            planned_at = state.revision
            guards = {Place("member", name): known.revision if known else 0}
            living = known if known is not None and not known.departed else None
            if wish.generation is not None:
                if living is None or living.generation != wish.generation:
                    raise stale(wish.generation, name)
                if wish.ttl not in (None, living.ttl):
                    raise Conflict(
                        f"member {shown(name)} lives with a ttl of {living.ttl} seconds; to have "
                        "another, join without a generation.",
                        code="member_ttl_fixed",
                    )
                if (living.group, living.attributes) == (wish.group, wish.attributes):
                    commit = Commit(stack or NOTHING.stack, planned_at, state.epoch, guards=guards)
                    return Plan(commit, ("unchanged", living, None))
                member = replace(
                    living,
                    group=wish.group,
                    attributes=wish.attributes,
                    version=living.version + 1,
                    updated_at=now,
                    updated_by=author.user_id,
                    request_id=author.request_id,
                    memo={},
                )
            else:
                member = Member(
                    name, wish.group, "joining", wish.attributes,
                    wish.ttl or HEARTBEAT_TTL_DEFAULT, now, now,
                    author.user_id, author.request_id,
                )  # fmt: skip
            growth = Growth(
                0 if stack else 1, 0 if known else 1, member.size - (known.size if known else 0)
            )
            near = admit(quota, project, usage, growth)
        outcome = "updated" if wish.generation is not None else "replaced" if living else "created"
        removes = () if outcome == "updated" else (Place("applied", name),)
        commit = Commit(
            stack or self._new_stack(self.scope, author),
            planned_at,
            state.epoch,
            creates_stack=stack is None,
            guards={} if stack is None else guards,
            records=(member,),
            removes=removes if stack else (),
            gate=project.gate if growth.adds and quota != Quota() else None,
        )
        return Plan(commit, (outcome, member, living), growth, near)

    def prepare(self, plan: Plan, state: State) -> Plan:
        outcome, member, former = plan.results
        if outcome not in ("created", "replaced"):
            return plan
        if not self.granted:
            self.granted = self._store.grant(member.ttl, self.deadline)
        member = replace(member, lease=self.granted)
        commit = replace(plan.commit, records=(member,))
        return replace(plan, commit=commit, results=(outcome, member, former))

    def confirm(self, plan: Plan) -> bool:
        outcome, member, _ = plan.results
        if outcome in ("created", "replaced"):
            return True
        return self._store.renew(member.lease, self.deadline)


class Change(Attempt):
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
        commit = Commit(stack, planned_at, state.epoch, guards={member.place: member.revision})
        if changed is member:
            return Plan(commit, (member, False))
        changed = replace(
            changed,
            version=member.version + 1,
            updated_at=self._now,
            updated_by=self._author.user_id,
            request_id=self._author.request_id,
            memo={},
        )
        return Plan(replace(commit, records=(changed,)), (changed, True))


class Apply(Attempt):
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
            place = Place("applied", member.name)
            record = contents.tables["applied"].get(member.name)
        if self._seen <= known or known >= target:
            return Plan(
                Commit(stack, planned_at, state.epoch, guards={member.place: member.revision})
            )
        applied = Applied(member.name, self._seen, lease=member.lease)
        guards = {member.place: member.revision, place: record.revision if record else 0}
        return Plan(Commit(stack, planned_at, state.epoch, guards=guards, records=(applied,)))


def living_member(state: State, scope: Scope, name: str, generation: str | None) -> Member:
    """The living member of a name.

    :param generation: which it must be; None for whichever lives.
    :raises NotFound: there is none.
    :raises Conflict: ``generation_stale``.
    """
    member = state.member(scope, name)
    if state.stack(scope) is None:  # whoever joined again would bring a deleted stack back
        raise NotFound(f"there is no stack named {shown(scope.stack)}.")
    if generation is not None and (member is None or member.generation != generation):
        raise stale(generation, name)
    if member is None:
        raise missing(scope, name)
    return member


def missing(scope: Scope, name: str) -> NotFound:
    """The refusal of what is about a member that is not there."""
    return NotFound(f"there is no member {shown(name)} in a stack named {shown(scope.stack)}.")
