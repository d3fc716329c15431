"""Grants: issuing, authentication, renewing and revoking."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable

from factstore.core.errors import NotFound, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.grant import Grant, GrantRequest, IssuedGrant, checked_ttl, digest_of
from factstore.core.model.grant_secret import RANDOM_BYTES, is_signed
from factstore.core.model.instance import InstanceRequest
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.grant_guards import ended
from factstore.core.operations.grants import (
    IssueGrant,
    RenewGrant,
    RevokeGrant,
    find_by_id,
    issued,
    valid_until,
)
from factstore.core.operations.instance_grants import IssueToInstance
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.base import Find, Page, Service
from factstore.core.state.state import State

FRESH_SECONDS = 5.0
"""The age of a worker's state above which the database is read before a holder is admitted."""
GUESS_SECONDS = 0.05
"""Between two reads of the database for credentials that this worker's state does not prove."""


@quick_dataclass(frozen=True, slots=True)
class Issued:
    """A new grant and its secret, which is not stored."""

    grant: Grant
    secret: str
    cursor: Cursor


class GrantService(Service):
    """The service for grants."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        encryption: Encryption = Encryption(NoKeyring()),  # noqa: B008 - it has no state
        pause: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(store, clock, timeout, transactor)
        self._encryption = encryption
        self._pause = pause or time.sleep
        self._fresh_until = 0.0
        self._asked_at = -math.inf  # when the last read of the database began
        self._read_at = -math.inf  # when the last one that has ended began
        self._ends: dict[str, tuple[Grant, str]] = {}  # of grants, and when they end
        self._state_of_ends: State | None = None
        self._change_of_ends = 0

    def issue(self, scope: Scope, request: GrantRequest, author: Author) -> Issued:
        """Issue a grant; with a group's grant, one for a member of the group.

        An owner's first grant creates its stack.

        :raises Forbidden: ``quota_exceeded``; or the member's name belongs to another holder.
        """
        check_stack_name(scope.stack)
        if author.grant:
            self._state()  # no guard covers grants with other ids, so read a fresh state
        random = secrets.token_bytes(RANDOM_BYTES)
        operation = IssueGrant(scope, request, author, secrets.token_hex(8), random)
        done = self._transactor.run(operation)
        issued = done.outcome
        return Issued(done.written_record(issued.grant), issued.secret, done.cursor)

    def issue_to_instance(
        self, project_id: str, request: InstanceRequest, author: Author
    ) -> IssuedGrant:
        """Return the grant of a server and its secret, the same each time.

        :raises NotFound: the project has no such stack; a server creates none.
        :raises Forbidden: ``quota_exceeded``.
        :raises SealingUnavailable: the service has no keys.
        """
        self._state()  # no guard covers members and grants with the same name, so read a fresh state
        scope = Scope(project_id, request.stack)
        operation = IssueToInstance(scope, request, author, self._encryption)
        done = self._transactor.run(operation)
        if done.transaction is not None:
            # Another worker may have given the name to another server at the same time.
            self._state()
            done = self._transactor.run(operation)
        return done.outcome

    def get(self, scope: Scope, grant: str, *, stale: bool = False) -> Grant:
        """Return a valid grant.

        :raises NotFound: no grant has that id, or the grant has expired.
        """
        _check(scope, grant)
        state = self._state(stale=stale)
        with state.read():
            found = issued(state, scope, grant)
            end = valid_until(state, scope, found)
        if not self._in_time(end):
            raise NotFound(
                f"Grant {quoted(grant)} has expired, or its parent grant has expired or was revoked."
            )
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[Grant]:
        """Return a page of grants, ordered by id, without those whose parent grant was deleted.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "grant")

        def shows(grant: Grant, find: Find) -> bool:
            return not grant.parent or find(RecordKey(Grant, grant.parent)) is not None

        return self._page(scope, Grant, limit, marker, at, shows)

    def renew(self, scope: Scope, grant: str, ttl: int | None, author: Author) -> Grant:
        """Extend a grant by its ttl from now, and return it.

        :param ttl: a new ttl in seconds; None for the current one.
        :raises NotFound: no grant has that id, or the grant has expired.
        :raises Unauthorized: the same, if its holder renews it.
        :raises Forbidden: its holder requests a longer ttl than it was issued for.
        """
        try:
            self.get(scope, grant)
        except NotFound:
            if author.grant == grant:
                raise ended() from None
            raise
        done = self._transactor.run(RenewGrant(scope, grant, checked_ttl(ttl), author))
        return done.written_record(done.outcome)

    def revoke(self, scope: Scope, grant: str, author: Author) -> Cursor:
        """Revoke a grant and those issued from it; return the cursor since which they are invalid.

        :raises NotFound: no grant has that id.
        """
        _check(scope, grant)
        return self._transactor.run(RevokeGrant(scope, grant, author)).cursor

    # Authentication

    def authenticate(self, grant: str, secret: str) -> tuple[Scope, Grant] | None:
        """Return the scope and the grant that a secret proves; None if the secret is wrong.

        :raises Unavailable: the store cannot be reached.
        """
        # An unknown id and a wrong secret take the same way, so that the time of the answer tells
        # nobody which it is.
        if self._clock.monotonic() < self._fresh_until:
            state = self._store.state()
            found = self._proven(state, grant, secret)
            if found is not None:
                return found
            if not is_signed(secret, grant, state.signing_key):
                # A guess, or a secret of an earlier version, which this worker may not have seen yet.
                self._pause(GUESS_SECONDS)
                return self._proven(self._store.state(), grant, secret)
        # The grant or its secret may be new, or this worker's state may be old.
        return self._proven(self._refreshed(), grant, secret)

    def authenticate_known(self, grant: str, secret: str) -> tuple[Scope, Grant] | None:
        """Return what :meth:`authenticate` returns, or None if that would read the database."""
        if self._clock.monotonic() >= self._fresh_until:
            return None
        return self._proven(self._store.state(), grant, secret)

    def is_known(self, grant: Grant) -> bool:
        """Return True if a grant that was authenticated before is unchanged, and valid still.

        Like :meth:`authenticate_known`, it does not read the database.
        """
        if self._clock.monotonic() >= self._fresh_until:
            return False
        state = self._store.state()
        changed = state.last_grant_change
        if state is not self._state_of_ends or changed != self._change_of_ends:
            self._ends.clear()
            self._state_of_ends, self._change_of_ends = state, changed
        known = self._ends.get(grant.id)
        if known is None:
            found = find_by_id(state, grant.id)
            if found is None:
                return False
            known = self._ends[grant.id] = found[1:]
        return known[0] is grant and self._in_time(known[1])

    def note_refresh(self, began: float) -> None:
        """Note that the state includes all that was in the database at an instant."""
        self._fresh_until = max(self._fresh_until, began + FRESH_SECONDS)

    def is_valid(self, grant: Grant) -> bool:
        """Return True if a grant that was authenticated before is still valid with the same secret.

        If the store cannot be reached, this worker's state decides.
        """
        try:
            found = find_by_id(self._store.refresh(self._deadline()), grant.id)
        except Unavailable:
            found = find_by_id(self._store.state(), grant.id)
        return found is not None and found[1].digest == grant.digest and self._in_time(found[2])

    def _proven(self, state: State, grant: str, secret: str) -> tuple[Scope, Grant] | None:
        """Return the scope and the grant that a secret proves in a state."""
        found = find_by_id(state, grant)
        if found is None:  # takes as long as for a grant that exists
            digest_of(secret)
            return None
        scope, known, end = found
        return (scope, known) if known.accepts(secret) and self._in_time(end) else None

    def _refreshed(self) -> State:
        """Return a state that is as new as this call; guesses share the reads of the database."""
        arrived = self._clock.monotonic()
        left = self._asked_at + GUESS_SECONDS - arrived
        if left > 0:
            self._pause(left)
            if self._read_at >= arrived:
                return self._store.state()
        began = self._asked_at = self._clock.monotonic()
        state = self._store.refresh(self._deadline())
        self._read_at = max(self._read_at, began)
        self._fresh_until = began + FRESH_SECONDS
        return state

    def _in_time(self, end: str) -> bool:
        return self._clock.timestamp() < end


def _check(scope: Scope, grant: str) -> None:
    check_stack_name(scope.stack)
    check_name(grant, "grant")
