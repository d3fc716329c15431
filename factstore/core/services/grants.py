"""Grants: issuing them, finding out whether somebody holds one, renewing, revoking."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from factstore.core.errors import NotFound, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.grant import Grant, GrantRequest, checked_ttl, digest_of
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.operations.grants import (
    IssueGrant,
    RenewGrant,
    RevokeGrant,
    find_by_id,
    issued,
    valid_until,
)
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.base import Page, Service, paginate
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


class GrantService(Service):
    """The service for grants."""

    def __init__(self, store: Store, clock: Clock, timeout: float, transactor: Transactor) -> None:
        super().__init__(store, clock, timeout, transactor)
        self._fresh_until = 0.0

    def issue(self, scope: Scope, request: GrantRequest, author: Author) -> Issued:
        """Issue a grant; to the holder of a group's grant one for a member of the group.

        An owner's first grant creates its stack.

        :raises Forbidden: ``quota_exceeded``; or the member's name belongs to somebody else.
        """
        check_stack_name(scope.stack)
        if author.grant:
            self._state()  # no guard covers the grants under other ids
        secret = secrets.token_urlsafe(SECRET_BYTES)
        operation = IssueGrant(scope, request, author, secrets.token_hex(8), secret)
        done = self._transactor.run(operation)
        return Issued(done.written_record(done.outcome), secret, done.revision)

    def get(self, scope: Scope, grant: str, *, stale: bool = False) -> Grant:
        """A grant that holds.

        :raises NotFound: there is none of that id, or it has expired.
        """
        _check(scope, grant)
        state = self._state(stale=stale)
        with state.read():
            found = issued(state, scope, grant)
            end = valid_until(state, scope, found)
        if not self._in_time(end):
            raise NotFound(
                f"grant {quoted(grant)} has expired, or the grant that it was issued from has ended."
            )
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[Grant]:
        """A page of grants by id, without those that went with their group's.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "grant")
        records, cursor = self._records(scope, "grant", at)
        ids = {record.record_key.name for record in records} | {""}
        found = (
            grant
            for grant in records
            if isinstance(grant, Grant) and grant.id > marker and grant.parent in ids
        )
        return paginate(found, limit, lambda grant: grant.id, cursor)

    def renew(self, scope: Scope, grant: str, ttl: int | None, author: Author) -> Grant:
        """Extend a grant by its ttl from now on, and return it.

        :param ttl: another one, in seconds; None for the present one.
        :raises NotFound: there is none with that id, or it has expired.
        :raises Forbidden: its holder asks for a longer time than it was issued for.
        """
        self.get(scope, grant)
        done = self._transactor.run(RenewGrant(scope, grant, checked_ttl(ttl), author))
        return done.written_record(done.outcome)

    def revoke(self, scope: Scope, grant: str, author: Author) -> int:
        """Revoke a grant and those issued from it; return the revision since which they are invalid.

        :raises NotFound: there is none with that id.
        """
        _check(scope, grant)
        return self._transactor.run(RevokeGrant(scope, grant, author)).revision

    # Authentication

    def authenticate(self, grant: str, secret: str) -> tuple[Scope, Grant] | None:
        """Return the grant that a secret proves, and the scope of its stack; None if it is none.

        :raises Unavailable: the store cannot be reached.
        """
        found = self._known(grant)
        if found is None:  # as much work as for one that exists
            digest_of(secret)
            return None
        scope, known, end = found
        return (scope, known) if known.accepts(secret) and self._in_time(end) else None

    def is_valid(self, grant: Grant) -> bool:
        """Return whether a grant that was valid a moment ago still is, for the same secret.

        If the store cannot be reached, the state known here decides.
        """
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


def _check(scope: Scope, grant: str) -> None:
    check_stack_name(scope.stack)
    check_name(grant, "grant")
