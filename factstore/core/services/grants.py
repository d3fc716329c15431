"""Grants: issuing them, finding out whether somebody holds one, renewing, revoking."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from factstore.core.errors import FactstoreError, NotFound, OutcomeUnknown, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.grant import Grant, GrantRequest, checked_ttl, digest_of
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.operations.grants import (
    IssueGrant,
    RenewGrant,
    RevokeGrant,
    ends_at,
    find_by_id,
    issued,
)
from factstore.core.operations.member_grants import IssueMemberGrant
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.blocking_query import check_age
from factstore.core.state.state import State

SECRET_BYTES = 32
FRESH_SECONDS = 5.0
"""A worker that has not heard from the database for so long asks it before it lets a holder in."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new grant, and what its holder must say; that is known to nobody else."""

    grant: Grant
    secret: str
    revision: int


@dataclass(frozen=True, slots=True)
class GrantPage:
    """Grants in order of their ids, as all stood at one revision.

    :param marker: the id to continue after; None on the last page.
    """

    grants: tuple[Grant, ...]
    cursor: Cursor
    marker: str | None


class GrantService:
    """The service for grants.

    :param new_stack: makes the record of a stack that a first grant creates.
    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_stack: Callable[[Scope, Author], Stack],
        timeout: float,
        carrier: Transactor,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_stack = new_stack
        self._timeout = timeout
        self._carrier = carrier
        self._fresh_until = 0.0

    def issue(self, scope: Scope, wish: GrantRequest, author: Author) -> Issued:
        """Make a grant; an owner's first one creates its stack.  Who holds a group's gets a member's.

        :raises Forbidden: ``quota_exceeded``; or somebody else is known by the member's name.
        """
        check_stack_name(scope.stack)
        secret, now, deadline = (
            secrets.token_urlsafe(SECRET_BYTES),
            self._clock.timestamp(),
            self._deadline(),
        )
        attempt: IssueGrant | IssueMemberGrant
        if author.grant:
            self._store.refresh(deadline)  # grants under other ids are guarded by nothing
            attempt = IssueMemberGrant(
                self._store, scope, wish, author, secret=secret, now=now, deadline=deadline
            )
        else:
            attempt = IssueGrant(
                self._store,
                self._new_stack,
                scope,
                wish,
                author,
                suffix=secrets.token_hex(8),
                secret=secret,
                now=now,
                deadline=deadline,
            )
        try:
            plan, revision = self._carrier.run(attempt, author)
        except OutcomeUnknown:
            raise  # the grant may hang on the lease
        except BaseException:
            self._end(attempt.granted)
            raise
        for former in plan.results[1:]:
            self._end(former.lease if former else 0)
        return Issued(replace(plan.results[0], revision=revision), secret, revision)

    def get(self, scope: Scope, grant: str, *, stale: bool = False) -> Grant:
        """A grant that holds.

        :raises NotFound: there is none of that id, or it has expired.
        """
        _check(scope, grant)
        state = self._store.state() if stale else self._store.refresh(self._deadline())
        with state.read():
            found = issued(state, scope, grant)
            end = ends_at(state, scope, found)
        if not self._in_time(end):
            raise NotFound(
                f"grant {quoted(grant)} has expired, or that which it was got with ended."
            )
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> GrantPage:
        """A page of grants by id, without those that went with their group's.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "grant")
        state = self._store.refresh(self._deadline())
        with state.read():
            stack, revision = state.stack(scope), state.revision
            records = state.records(scope, "grant")
        if stack is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        epoch = self._store.epoch
        if at is not None and at != (epoch, revision):
            check_age(at, epoch, revision, stack.created)
            revision = at.revision
            records = self._store.records_at(stack, "grant", revision, self._deadline())
        ids = {record.record_key.name for record in records} | {""}
        grants = [
            each
            for each in records
            if isinstance(each, Grant) and each.id > marker and each.parent in ids
        ]
        rest = grants[limit - 1].id if len(grants) > limit else None
        return GrantPage(tuple(grants[:limit]), Cursor(epoch, revision), rest)

    def renew(self, scope: Scope, grant: str, ttl: int | None, author: Author) -> Grant:
        """Let a grant hold for its ttl from now on.

        :param ttl: another one, in seconds; None for that which it has.
        :raises NotFound: there is none of that id, or it has expired.
        :raises Forbidden: its holder wants it to hold longer at a time than it was issued for.
        """
        self.get(scope, grant)
        attempt = RenewGrant(
            self._store,
            scope,
            grant,
            checked_ttl(ttl),
            author,
            self._clock.timestamp(),
            self._deadline(),
        )
        try:
            plan, revision = self._carrier.run(attempt, author)
        except OutcomeUnknown:
            raise  # the grant may hang on the lease
        except BaseException:
            self._end(attempt.granted)
            raise
        renewed, former = plan.results
        assert isinstance(renewed, Grant)  # noqa: S101 - plan() put it there
        if renewed.lease != former.lease:
            self._end(former.lease)
        elif attempt.granted:
            self._end(attempt.granted)
        return replace(renewed, revision=revision)

    def revoke(self, scope: Scope, grant: str, author: Author) -> int:
        """End a grant; the revision since which nobody holds it, nor any that was got with it.

        :raises NotFound: there is none of that id.
        """
        _check(scope, grant)
        plan, revision = self._carrier.run(RevokeGrant(scope, grant, self._deadline()), author)
        end = self._deadline()
        for each in plan.results:
            if self._clock.monotonic() < end:  # the rest ends by itself
                self._end(each.lease)
        return revision

    # Who holds one

    def holder(self, grant: str, secret: str) -> tuple[Scope, Grant] | None:
        """The grant that somebody holds, and the stack that it is for; None if it is none.

        :raises Unavailable: the store cannot be asked.
        """
        found = self._known(grant)
        if found is None:  # as much work as for one that exists
            digest_of(secret)
            return None
        scope, known, end = found
        return (scope, known) if known.opened_by(secret) and self._in_time(end) else None

    def holds(self, grant: Grant) -> bool:
        """Whether a grant that was held a moment ago still holds, for the same secret; if nobody can
        tell, it does."""
        try:
            found = find_by_id(self._store.refresh(self._deadline()), grant.id)
        except Unavailable:
            found = find_by_id(self._store.state(), grant.id)
        return found is not None and found[1].digest == grant.digest and self._in_time(found[2])

    def _known(self, grant: str) -> tuple[Scope, Grant, str] | None:
        now = self._clock.monotonic()
        found = None
        if now < self._fresh_until:
            found = find_by_id(self._store.state(), grant)
        if found is None:  # it may be news, or this worker may be cut off
            found = find_by_id(self._refreshed(now), grant)
        return found

    def _refreshed(self, now: float) -> State:
        state = self._store.refresh(self._deadline())
        self._fresh_until = now + FRESH_SECONDS
        return state

    def _in_time(self, end: str) -> bool:
        return self._clock.timestamp() < end

    def _end(self, lease: int) -> None:
        if lease:
            with suppress(FactstoreError):  # it ends by itself
                self._store.revoke_lease(lease, self._deadline())

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout


def _check(scope: Scope, grant: str) -> None:
    check_stack_name(scope.stack)
    check_name(grant, "grant")
