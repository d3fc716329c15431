"""Members: joining, changing state, heartbeats, departing; and what they have applied."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from factstore.core.errors import CursorExpired, FactstoreError, NotFound, OutcomeUnknown
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope, Stack
from factstore.core.model.member import JoinRequest, Member, MemberState
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.member_declarations import DeclareMember
from factstore.core.operations.member_updates import (
    DepartMember,
    RecordApplied,
    UpdateMember,
    living_member,
    missing,
)
from factstore.core.operations.members import NEW_INCARNATION, JoinMember, JoinOutcome
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.blocking_query import check_age


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Members in order of their names, as all stood at one revision.

    :param marker: the name to continue after; None on the last page.
    """

    members: tuple[Member, ...]
    cursor: Cursor
    marker: str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A member as it is stored, and what became of the wish to be one."""

    member: Member
    outcome: JoinOutcome
    revision: int


class MemberService:
    """The service for members.

    :param new_stack: makes the record of a stack that a first join creates.
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

    def get(self, scope: Scope, name: str, *, stale_read: bool = False) -> Member:
        """A living member.

        :raises NotFound: there is none of that name.
        """
        _check(scope, name)
        state = self._store.state() if stale_read else self._store.refresh(self._deadline())
        member = state.member(scope, name)
        if member is None:
            raise missing(scope, name)
        return member

    def list(
        self,
        scope: Scope,
        *,
        group: str = "",
        declared: str | None = None,
        limit: int,
        marker: str = "",
        at: Cursor | None = None,
    ) -> MemberPage:
        """A page of living members by name.

        :param group: only its members; empty for all.
        :param declared: only those declared as this; None for all, declared or not.
        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        check_stack_name(scope.stack)
        for name, what in ((group, "group"), (marker, "member")):
            if name:
                check_name(name, what)
        state = self._store.refresh(self._deadline())
        contents = state.contents(scope)
        if contents is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        revision, epoch = contents.revision, self._store.epoch
        members = contents.members
        if at is not None and at != (epoch, revision):
            check_age(at, epoch, revision, contents.stack.created)
            revision = at.revision
            records = self._store.records_at(contents.stack, "member", revision, self._deadline())
            members = tuple(m for m in records if isinstance(m, Member) and not m.departed)
        found = [
            m
            for m in members
            if m.name > marker and group in ("", m.group) and declared in (None, m.declared)
        ][: limit + 1]
        rest = found[limit - 1].name if len(found) > limit else None
        return MemberPage(tuple(found[:limit]), Cursor(epoch, revision), rest)

    def join(self, scope: Scope, name: str, wish: JoinRequest, author: Author) -> Joined:
        """Join as a new incarnation of a name, or with its present generation change what it says;
        or declare a member.

        A new incarnation takes the name over: what went with the one before goes with it.  If nobody
        had joined as the one before, it adopts that: it is a change of it, and no join.

        :raises Conflict: ``generation_stale``; ``member_ttl_fixed``: the lease that the generation
            names has a ttl already; or ``member_declared``, as something else.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        check_name(wish.group, "group")
        kind = JoinMember if wish.declared is None else DeclareMember
        attempt = kind(self._store, self._clock, self._new_stack, scope, name, wish, author)
        attempt.deadline = self._deadline()
        try:
            plan, revision = self._carrier.run(attempt, author)
        except OutcomeUnknown:
            raise  # the member may hang on the lease
        except BaseException:
            self._end(attempt.granted)
            raise
        outcome, member, former = plan.results
        if outcome in NEW_INCARNATION:
            if member.lease:
                # Its time counts from the answer, not from before a write that took long.
                with suppress(FactstoreError):
                    self._store.renew_lease(member.lease, self._deadline())
            if former is not None:
                self._end(former.lease)
        else:
            self._end(attempt.granted)
        if outcome != "unchanged":
            member = replace(member, revision=revision)
        return Joined(member, outcome, revision)

    def set_state(
        self, scope: Scope, name: str, state: MemberState, generation: str | None, author: Author
    ) -> Member:
        """Say that a member is ready, or draining.

        :raises NotFound: there is none.
        :raises Conflict: ``generation_stale``.
        """

        def change(member: Member) -> Member:
            return member if member.state == state else replace(member, state=state)

        return self._change(scope, name, generation, author, change)[0]

    def depart(
        self,
        scope: Scope,
        name: str,
        reason: str,
        generation: str | None,
        author: Author,
        declared: str | None = None,
    ) -> int:
        """Let a member go, and its facts with it; the revision at which it went.

        :param declared: only if it is declared as this.
        :raises NotFound: there is none.
        :raises Conflict: ``generation_stale``, or ``member_declared``: not at all, or as another.
        """
        now = self._clock.timestamp()
        attempt = DepartMember(self._store, scope, name, generation, author, now, reason, declared)
        try:
            member, revision = self._carry(attempt, name, author)
        except OutcomeUnknown:
            raise  # the member may hang on the lease
        except BaseException:
            self._end(attempt.granted)
            raise
        self._end(member.lease)  # should that fail, its time will
        if attempt.granted != member.lease:  # somebody joined meanwhile
            self._end(attempt.granted)
        return revision

    def heartbeat(
        self, scope: Scope, name: str, generation: str | None, applied: Cursor | None
    ) -> None:
        """Start a member's time anew; note what it has applied if that matters.

        It makes no revision but when a member that lagged does so no more, or less.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        :raises CursorExpired: *applied* is of another life of the store, or beyond its head; the
            member's time was started anew all the same.
        """
        _check(scope, name)
        deadline = self._deadline()
        state = self._store.state()
        member = state.member(scope, name)
        if member is None or member.awaited or generation not in (None, member.generation):
            state = self._store.refresh(
                deadline
            )  # of one that is awaited no lease tells that it lives
            member = living_member(state, scope, name, generation)
        if not self._lives_on(member, deadline):
            state = self._store.refresh(deadline)
            member = living_member(state, scope, name, generation)
            if not self._lives_on(member, deadline):
                raise (
                    missing(scope, name)
                    if generation is None
                    else stale_generation(generation, name)
                )
        if applied is not None:
            self._note(scope, member, applied, deadline)

    def _lives_on(self, member: Member, deadline: float) -> bool:
        """Whether a member that lived by the last look has been given its time anew."""
        return member.awaited or self._store.renew_lease(member.lease, deadline)

    def _note(self, scope: Scope, member: Member, applied: Cursor, deadline: float) -> None:
        state = self._store.state()
        if applied.revision > state.revision:
            state = self._store.refresh(deadline)
        if applied.epoch != self._store.epoch or applied.revision > state.revision:
            raise CursorExpired(
                "the cursor in applied is of another life of this store; read the context again."
            )
        with state.read():
            space = state.space(scope)
            known = space.applied.get(member.name, 0) if space else 0
            moves = space is not None and known < min(applied.revision, space.target)
        if moves:  # a state that knows this revision knows as well whether it matters
            self._carrier.run(RecordApplied(scope, member, applied.revision, deadline))

    def _change(
        self,
        scope: Scope,
        name: str,
        generation: str | None,
        author: Author,
        change: Callable[[Member], Member],
    ) -> tuple[Member, int]:
        attempt = UpdateMember(scope, name, generation, author, self._clock.timestamp(), change)
        return self._carry(attempt, name, author)

    def _carry(self, attempt: UpdateMember, name: str, author: Author) -> tuple[Member, int]:
        _check(attempt.scope, name)
        attempt.deadline = self._deadline()
        plan, revision = self._carrier.run(attempt, author)
        member, changed = plan.results
        return (replace(member, revision=revision) if changed else member), revision

    def _end(self, lease: int) -> None:
        if lease:
            with suppress(FactstoreError):  # an empty lease ends by itself, a member's in its time
                self._store.revoke_lease(lease, self._deadline())

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout


def _check(scope: Scope, name: str) -> None:
    check_stack_name(scope.stack)
    check_name(name, "member")
