"""Issuing, renewing and revoking grants.

With a group's grant an instance gets a grant of its own for one member of the group.  Such a child has
one id for each name, so that of two requests for the same name one sees the other, and a name never has
two.  An instance that asks again gets a new secret, and the former one is no longer valid.  A child is
valid only while its parent is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from factstore.core.errors import Forbidden, NotFound
from factstore.core.model.fact import Author, Scope
from factstore.core.model.grant import (
    GRANT_TTL_DEFAULT,
    Grant,
    GrantRequest,
    IssuedGrant,
    digest_of,
)
from factstore.core.model.grant_secret import signed_secret
from factstore.core.model.member import Member
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.state.state import State


@quick_dataclass(slots=True)
class IssueGrant(Operation[IssuedGrant]):
    """Issue a grant: to an owner any, to the holder of a group's grant one for a member of the group.

    :param suffix: distinguishes an owner's grant from others of its stack, in hex.
    """

    scope: Scope
    request: GrantRequest
    author: Author
    suffix: str
    random: bytes

    @property
    def creates_stack(self) -> bool:
        """Return whether a missing stack is created: for an owner, not for an instance."""
        return not self.author.grant

    def plan(self, view: View) -> Draft[IssuedGrant]:
        """Return the draft.

        :raises NotFound: the group's grant does not exist any more.
        :raises Forbidden: the member's name is taken, or the ttl is longer than the group's.
        """
        parent = grant_of(view, self.author.grant) if self.author.grant else None
        ttl = self.request.ttl or (parent.ttl if parent else GRANT_TTL_DEFAULT)
        if parent is not None:
            self._check_terms(view, parent, ttl)
        name = self.request.member or ""
        grant_id = f"{view.stack.id}-{_suffix_of_member(name) if parent else self.suffix}"
        secret = signed_secret(self.random, grant_id, view.state.signing_key)
        grant = Grant(
            id=grant_id,
            role=self.request.role,
            member=self.request.member,
            group=parent.group if parent else self.request.group,
            digest=digest_of(secret),
            ttl=ttl,
            created_at=view.now,
            created_by=self.author.user_id,
            expires_at=add_seconds(view.now, ttl),
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
            parent=parent.id if parent else "",
        )
        former = view.record(grant.record_key)
        revisions = {grant.record_key: former.revision if former else 0}
        if parent is not None:  # the name must still be free, or the same group's
            member = view.record(RecordKey(Member, name))
            revisions[RecordKey(Member, name)] = member.revision if member else 0
        return Draft(
            IssuedGrant(grant, secret),
            records=(grant,),
            record_revisions=revisions,
            leases={grant.record_key: LeaseRequest(ttl)},
            ends=(former.lease,) if former else (),
        )

    def _check_terms(self, view: View, parent: Grant, ttl: int) -> None:
        """Raise Forbidden if the ttl exceeds the parent's, or the name belongs to another holder."""
        if ttl > parent.ttl:
            raise Forbidden(
                f"The ttl of a grant that is issued with this grant is at most {parent.ttl} seconds; "
                "request a shorter one."
            )
        name = self.request.member or ""
        member = view.member(name)
        if member is not None and member.group != parent.group:
            raise Forbidden(
                f"Member {quoted(name)} is in group {quoted(member.group)}; this grant is for group "
                f"{quoted(parent.group or '')}."
            )
        others = (
            grant for grant in grants_in(view) if grant.member == name and grant.parent != parent.id
        )
        if any(view.now < valid_until(view.state, view.scope, grant) for grant in others):
            raise Forbidden(
                f"Member {quoted(name)} already has a grant that was not issued with this grant; "
                "choose another name, or ask the stack's owners to revoke that grant."
            )


@quick_dataclass(slots=True)
class RenewGrant(Operation[Grant]):
    """Extend a grant; the outcome is the grant.

    A group's grant stays valid while any of its children does: it is renewed with a child when it has
    less than half of its time left.

    :param ttl: seconds from now on; None for the same as so far.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    grant: str
    ttl: int | None
    author: Author

    def plan(self, view: View) -> Draft[Grant]:
        """Return the draft.

        :raises NotFound: the grant, or its parent, does not exist.
        :raises Forbidden: its holder asks for another time than it was issued for.
        """
        known = grant_of(view, self.grant)
        parent = parent_of(view, known)
        ttl = self.ttl or known.ttl
        self._check_ttl(known, ttl)
        renewed = self._renewed(known, ttl, view.now)
        records, revisions = [renewed], {known.record_key: known.revision}
        # A new lease, because a former leader of etcd revokes those of whose renewals it does not know.
        leases: dict[str | RecordKey, LeaseRequest] = {renewed.record_key: LeaseRequest(ttl)}
        ends = [known.lease]
        if parent is not None:
            revisions[parent.record_key] = parent.revision
            if add_seconds(view.now, parent.ttl // 2) > parent.expires_at:
                records.append(self._renewed(parent, parent.ttl, view.now))
                leases[parent.record_key] = LeaseRequest(parent.ttl)
                ends.append(parent.lease)
        return Draft(
            renewed,
            records=tuple(records),
            record_revisions=revisions,
            leases=leases,
            ends=tuple(ends),
        )

    def _check_ttl(self, known: Grant, ttl: int) -> None:
        if not self.author.grant:
            return
        if known.permissions.issues_member_grants and ttl != known.ttl:
            raise Forbidden(
                f"This is a group's grant with a ttl of {known.ttl} seconds; only the stack's owners "
                "may change it."
            )
        if ttl > known.ttl:
            raise Forbidden(
                f"The ttl of this grant is at most {known.ttl} seconds; only the stack's owners may "
                "extend it."
            )

    def _renewed(self, known: Grant, ttl: int, now: str) -> Grant:
        return replace(
            known,
            ttl=ttl,
            expires_at=add_seconds(now, ttl),
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
        )


@quick_dataclass(slots=True)
class RevokeGrant(Operation[None]):
    """Revoke a grant, and with it the grants that were issued from it."""

    scope: Scope
    grant: str
    author: Author

    def plan(self, view: View) -> Draft[None]:
        """Return the draft.

        :raises NotFound: there is no such grant.
        """
        known = grant_of(view, self.grant)
        children = [grant.lease for grant in grants_in(view) if grant.parent == known.id]
        return Draft(
            None,
            removes=(known.record_key,),
            record_revisions={known.record_key: known.revision},
            ends=(known.lease, *children),  # without their parent the children are invalid already
        )


def grant_of(view: View, grant: str) -> Grant:
    """Return a stack's grant, which may have expired.

    :raises NotFound: no grant has that id.
    """
    return issued(view.state, view.scope, grant)


def grants_in(view: View) -> Collection[Grant]:
    """Return all grants of a stack, in no order, also those that are no longer valid."""
    return view.stack_state.records(Grant).values() if view.stack_state else ()


def parent_of(view: View, grant: Grant) -> Grant | None:
    """Return the group's grant that a grant was issued from; None if it has no parent.

    :raises NotFound: the parent was deleted.
    """
    return grant_of(view, grant.parent) if grant.parent else None


def issued(state: State, scope: Scope, grant: str) -> Grant:
    """Return a stack's grant, which may have expired.

    :raises NotFound: no grant has that id.
    """
    known = state.record(scope, RecordKey(Grant, grant))
    if not isinstance(known, Grant):
        raise NotFound(f"There is no grant {quoted(grant)} in a stack named {quoted(scope.stack)}.")
    return known


def valid_until(state: State, scope: Scope, grant: Grant) -> str:
    """Return when a grant ends: no later than its parent; empty if that does not exist any more."""
    try:
        parent = issued(state, scope, grant.parent) if grant.parent else None
    except NotFound:
        return ""
    return grant.expires_at if parent is None else min(grant.expires_at, parent.expires_at)


def find_by_id(state: State, grant: str) -> tuple[Scope, Grant, str] | None:
    """Return a grant, the scope of its stack, which its id names, and when it ends; None if missing."""
    with state.read():
        stack_state = state.stack_state(grant.partition("-")[0])
        found = stack_state.records(Grant).get(grant) if stack_state else None
        if stack_state is None or found is None:
            return None
        scope = stack_state.stack.scope
        return scope, found, valid_until(state, scope, found)


def add_seconds(moment: str, seconds: int) -> str:
    """Return the instant that many seconds after another, both ISO 8601 in UTC."""
    end = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    return end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _suffix_of_member(name: str) -> str:
    """Return the part of a child's id that follows from its member's name, in hex."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
