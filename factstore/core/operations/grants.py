"""Issuing, renewing and revoking a grant: what is to be written, decided on whatever state there is.

What a group's grant issues is decided in :mod:`factstore.core.operations.member_grants`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from factstore.core.errors import Forbidden, NotFound
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.grant import GRANT_TTL_DEFAULT, Grant, GrantRequest, digest_of
from factstore.core.model.path import quoted
from factstore.core.model.quota import Growth, Quota, admit
from factstore.core.model.record_key import RecordKey
from factstore.core.model.usage import Usage
from factstore.core.operations.fact_plan import Plan
from factstore.core.operations.transactor import Operation
from factstore.core.ports import Store, Transaction
from factstore.core.state.state import State


class IssueGrant(Operation):
    """One request for a grant; the result of its plan is the grant.

    :param suffix: what tells the grant's id from others of its stack, in hex.
    :ivar granted: the lease that was got for it; 0 if none was needed so far.
    """

    def __init__(
        self,
        store: Store,
        new_stack: Callable[[Scope, Author], Stack],
        scope: Scope,
        wish: GrantRequest,
        author: Author,
        *,
        suffix: str,
        secret: str,
        now: str,
        deadline: float,
    ) -> None:
        self.scope, self.deadline = scope, deadline
        self.granted = 0
        self._store = store
        self._new_stack = new_stack
        self._wish = wish
        self._author = author
        self._suffix = suffix
        self._secret = secret
        self._now = now

    def plan(self, state: State, quota: Quota) -> Plan:
        wish, author = self._wish, self._author
        with state.read():
            known, planned_at = state.stack(self.scope), state.revision
            project = state.project_usage(self.scope.project_id)
            usage = state.usage(self.scope) or Usage(0, 0)
        stack = known or self._new_stack(self.scope, author)
        ttl = wish.ttl or GRANT_TTL_DEFAULT
        grant = Grant(
            id=f"{stack.id}-{self._suffix}",
            role=wish.role,
            member=wish.member,
            group=wish.group,
            digest=digest_of(self._secret),
            ttl=ttl,
            created_at=self._now,
            created_by=author.user_id,
            expires_at=add_seconds(self._now, ttl),
            updated_by=author.user_id,
            request_id=author.request_id,
        )
        growth = Growth(0 if known else 1, 1, grant.size)
        near = admit(quota, project, usage, growth)
        commit = Transaction(
            stack,
            planned_at,
            state.epoch,
            creates_stack=known is None,
            guards={grant.record_key: 0} if known else {},
            records=(grant,),
            gate=project.gate if quota != Quota() else None,
        )
        return Plan(commit, (grant,), growth, near)

    def prepare(self, plan: Plan, state: State) -> Plan:
        if not self.granted:
            self.granted = self._store.create_lease(plan.results[0].ttl, self.deadline)
        return with_lease(plan, self.granted)


class RenewGrant(Operation):
    """One request to let a grant hold longer; the results of its plan are the grant now and before.

    So a group's grant holds on while any of those does that were got with it: it is renewed too when it
    has less than half of its time left.

    :param ttl: from now on; None for as long as so far.
    :ivar granted: the lease that was got for it; 0 if none was needed so far.
    """

    def __init__(
        self,
        store: Store,
        scope: Scope,
        grant: str,
        ttl: int | None,
        author: Author,
        now: str,
        deadline: float,
    ) -> None:
        self.scope, self.deadline = scope, deadline
        self.granted = 0
        self._store = store
        self._grant = grant
        self._ttl = ttl
        self._author = author
        self._now = now

    def plan(self, state: State, quota: Quota) -> Plan:
        with state.read():
            known = issued(state, self.scope, self._grant)
            parent = parent_of(state, self.scope, known)
            stack, planned_at = state.stack(self.scope), state.revision
        assert stack is not None  # noqa: S101 - it has a grant
        ttl = self._ttl or known.ttl
        if self._author.grant and known.reach.enrols and ttl != known.ttl:
            raise Forbidden(
                f"the grant is a group's: it is renewed for {known.ttl} seconds at a time; only the "
                "stack's owners let it hold for another time."
            )
        if self._author.grant and ttl > known.ttl:
            raise Forbidden(
                f"the grant is renewed for {known.ttl} seconds at a time; only the stack's owners "
                "let it hold for longer."
            )
        renewed = self._renewed(known, ttl)
        guards, records = {known.record_key: known.revision}, [renewed]
        if parent is not None:
            guards[parent.record_key] = parent.revision
            if add_seconds(self._now, parent.ttl // 2) > parent.expires_at:
                records.append(self._renewed(parent, parent.ttl))
        commit = Transaction(stack, planned_at, state.epoch, guards=guards, records=tuple(records))
        return Plan(commit, (renewed, known))

    def _renewed(self, known: Grant, ttl: int) -> Grant:
        return replace(
            known,
            ttl=ttl,
            expires_at=add_seconds(self._now, ttl),
            updated_by=self._author.user_id,
            request_id=self._author.request_id,
        )

    def prepare(self, plan: Plan, state: State) -> Plan:
        renewed, known = plan.results
        lost = [
            r
            for r in plan.commit.records[1:]
            if not self._store.renew_lease(r.lease, self.deadline)
        ]
        if lost:  # what was to hang on a lease that has ended goes, and is not brought back
            plan = replace(plan, commit=replace(plan.commit, records=plan.commit.records[:1]))
        if renewed.ttl == known.ttl and self._store.renew_lease(known.lease, self.deadline):
            return with_lease(plan, known.lease)
        if not self.granted:
            self.granted = self._store.create_lease(renewed.ttl, self.deadline)
        return with_lease(plan, self.granted)


class RevokeGrant(Operation):
    """One request to end a grant; the results of its plan are the grant as it was, and those that were
    got with it, which hold no more."""

    def __init__(self, scope: Scope, grant: str, deadline: float) -> None:
        self.scope, self.deadline = scope, deadline
        self._grant = grant

    def plan(self, state: State, quota: Quota) -> Plan:
        with state.read():
            known = issued(state, self.scope, self._grant)
            others = grants_of(state, self.scope)
            stack, planned_at = state.stack(self.scope), state.revision
        assert stack is not None  # noqa: S101 - it has a grant
        guards = {known.record_key: known.revision}
        commit = Transaction(
            stack, planned_at, state.epoch, guards=guards, removes=(known.record_key,)
        )
        return Plan(commit, (known, *(each for each in others if each.parent == known.id)))


def issued(state: State, scope: Scope, grant: str) -> Grant:
    """A stack's grant, which may have expired.

    :raises NotFound: there is none of that id.
    """
    known = state.record(scope, RecordKey("grant", grant))
    if not isinstance(known, Grant):
        raise NotFound(f"there is no grant {quoted(grant)} in a stack named {quoted(scope.stack)}.")
    return known


def grants_of(state: State, scope: Scope) -> list[Grant]:
    """All grants of a stack by id, also those that hold no more."""
    return [each for each in state.records(scope, "grant") if isinstance(each, Grant)]


def parent_of(state: State, scope: Scope, grant: Grant) -> Grant | None:
    """The group's grant that a grant was got with.

    :raises NotFound: it is there no more.
    """
    return issued(state, scope, grant.parent) if grant.parent else None


def ends_at(state: State, scope: Scope, grant: Grant) -> str:
    """When a grant ends: no later than the one that it was got with; empty if that is gone."""
    try:
        parent = parent_of(state, scope, grant)
    except NotFound:
        return ""
    return grant.expires_at if parent is None else min(grant.expires_at, parent.expires_at)


def find_by_id(state: State, grant: str) -> tuple[Scope, Grant, str] | None:
    """A grant, the stack that it is for, which its id names, and when it ends."""
    with state.read():
        space = state.space(grant.partition("-")[0])
        found = space.tables["grant"].get(grant) if space else None
        if space is None or not isinstance(found, Grant):
            return None
        scope = space.stack.scope
        return scope, found, ends_at(state, scope, found)


def add_seconds(moment: str, seconds: int) -> str:
    """An instant that comes so many seconds after another, both ISO 8601 in UTC."""
    end = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    return end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def with_lease(plan: Plan, lease: int) -> Plan:
    """The plan with the first of its grants on a lease."""
    grant = replace(plan.commit.records[0], lease=lease)
    commit = replace(plan.commit, records=(grant, *plan.commit.records[1:]))
    return replace(plan, commit=commit, results=(grant, *plan.results[1:]))
