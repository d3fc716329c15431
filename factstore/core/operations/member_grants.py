"""Enrolling: with a group's grant an instance gets a member's, decided on whatever state there is.

It has a place of its own for each name, so that of two that want the same one sees the other, and a
name never has two.  An instance that enrols anew has another secret, and who held the former one holds
nothing any more.
"""

from __future__ import annotations

import hashlib

from factstore.core.errors import Forbidden
from factstore.core.model.fact import Author, Scope
from factstore.core.model.grant import Grant, GrantRequest, digest_of
from factstore.core.model.path import quoted
from factstore.core.model.quota import Growth, Quota, admit
from factstore.core.model.record_key import RecordKey
from factstore.core.model.usage import Usage
from factstore.core.operations.fact_plan import Plan
from factstore.core.operations.grants import add_seconds, ends_at, grants_of, issued, with_lease
from factstore.core.operations.transactor import Operation
from factstore.core.ports import Store, Transaction
from factstore.core.state.state import State


class IssueMemberGrant(Operation):
    """One request of who holds a group's grant for a member's; the results of its plan are the grant
    and, if there is one, that which it takes the place of.

    :param wish: for an agent's grant that names its member.
    :param author: who holds the group's.
    :ivar granted: the lease that was got for it; 0 if none was needed so far.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        wish: GrantRequest,
        author: Author,
        *,
        secret: str,
        now: str,
        deadline: float,
    ) -> None:
        self.scope, self.deadline = scope, deadline
        self.granted = 0
        self._store = store
        self._wish = wish
        self._member = wish.member or ""
        self._author = author
        self._secret = secret
        self._now = now

    def plan(self, state: State, quota: Quota) -> Plan:
        author, name = self._author, self._member
        with state.read():
            parent = issued(state, self.scope, author.grant)
            stack, planned_at = state.stack(self.scope), state.revision
            assert stack is not None  # noqa: S101 - it has a grant
            place = RecordKey("grant", f"{stack.id}-{_suffix(name)}")
            known = state.record(self.scope, place)
            member = state.record(self.scope, RecordKey("member", name))
            self._check_name(state, parent)
            project = state.project_usage(self.scope.project_id)
            usage = state.usage(self.scope) or Usage(0, 0)
        ttl = self._wish.ttl or parent.ttl
        if ttl > parent.ttl:
            raise Forbidden(
                f"with this grant, others are issued for {parent.ttl} seconds at a time at most."
            )
        grant = Grant(
            id=place.name,
            role="agent",
            member=name,
            group=parent.group,
            digest=digest_of(self._secret),
            ttl=ttl,
            created_at=self._now,
            created_by=author.user_id,
            expires_at=add_seconds(self._now, ttl),
            updated_by=author.user_id,
            request_id=author.request_id,
            parent=parent.id,
        )
        former = known if isinstance(known, Grant) else None
        growth = Growth(0, 0 if former else 1, grant.size - (former.size if former else 0))
        near = admit(quota, project, usage, growth)
        commit = Transaction(
            stack,
            planned_at,
            state.epoch,
            guards={
                place: former.revision if former else 0,
                RecordKey("member", name): member.revision if member else 0,
            },
            records=(grant,),
            gate=project.gate if growth.adds and quota != Quota() else None,
        )
        return Plan(commit, (grant, former), growth, near)

    def prepare(self, plan: Plan, state: State) -> Plan:
        if not self.granted:
            self.granted = self._store.create_lease(plan.results[0].ttl, self.deadline)
        return with_lease(plan, self.granted)

    def _check_name(self, state: State, parent: Grant) -> None:
        """Let pass a name that is free, or this group's already.

        :raises Forbidden: somebody else is known by it.
        """
        name = self._member
        member = state.member(self.scope, name)
        if member is not None and member.group != parent.group:
            raise Forbidden(
                f"member {quoted(name)} is in group {quoted(member.group)}; this grant is for group "
                f"{quoted(parent.group or '')}."
            )
        others = (
            each
            for each in grants_of(state, self.scope)
            if each.member == name and each.parent != parent.id
        )
        if any(self._now < ends_at(state, self.scope, each) for each in others):
            raise Forbidden(
                f"member {quoted(name)} has a grant already that was not issued with this one; the "
                "stack's owners may revoke it."
            )


def _suffix(member: str) -> str:
    """What tells a member's grant from others of its stack, in hex; whoever knows the name knows it."""
    return hashlib.sha256(member.encode()).hexdigest()[:16]
