"""Members: joining, changing state, heartbeats with applied revisions, and departing."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.member import Declaration, JoinRequest, Member, MemberState
from factstore.core.model.path import check_name, check_path, check_stack_name
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import RecordKey
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.member_updates import (
    DepartMember,
    SetMemberState,
    member_missing,
)
from factstore.core.operations.members import JoinMember, JoinOutcome
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.applied_reports import AppliedReports
from factstore.core.services.base import Find, Page, Service
from factstore.core.services.member_renewal import MemberRenewal, living
from factstore.core.services.views import MemberView


@quick_dataclass(frozen=True, slots=True)
class Joined:
    """A member as stored, and the outcome of the join."""

    member: Member
    outcome: JoinOutcome
    cursor: Cursor

    @property
    def view(self) -> MemberView:
        """The member without its read set."""
        return MemberView(self.member, None, self.cursor.epoch)


class MemberService(Service):
    """The service for members."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        reports: AppliedReports,
    ) -> None:
        super().__init__(store, clock, timeout, transactor)
        self._reports = reports
        self._renewal = MemberRenewal(store, clock, timeout, transactor)

    def get(self, scope: Scope, name: str, *, stale: bool = False) -> Member:
        """Return a living member.

        :raises NotFound: no living member has that name.
        """
        return self.get_with_read_set(scope, name, stale=stale).member

    def get_with_read_set(self, scope: Scope, name: str, *, stale: bool = False) -> MemberView:
        """Return a living member, and its read set if it has one.

        :raises NotFound: no living member has that name.
        """
        _check(scope, name)
        state = self._state(stale=stale)
        with state.read():
            member = state.member(scope, name)
            read_set = state.record(scope, RecordKey(ReadSet, name))
        if member is None:
            raise member_missing(scope, name)
        known = read_set if isinstance(read_set, ReadSet) else None
        return MemberView(member, known, state.epoch)

    def list(
        self,
        scope: Scope,
        *,
        group: str = "",
        declared: str | None = None,
        reads: str = "",
        limit: int,
        marker: str = "",
        at: Cursor | None = None,
    ) -> Page[Member]:
        """Return a page of living members, ordered by name.

        :param group: only the members of this group; empty for all.
        :param declared: only those declared as this; None for all, declared or not.
        :param reads: only those that a change of the fact at this path concerns; empty for all.
        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        check_stack_name(scope.stack)
        for name, what in ((group, "group"), (marker, "member")):
            if name:
                check_name(name, what)
        if reads:
            check_path(reads)
        concerned: dict[str, bool] = {}  # by digest, because many members have the same read set

        def is_concerned(name: str, find: Find) -> bool:
            read_set = find(RecordKey(ReadSet, name))
            if not isinstance(read_set, ReadSet):
                return True
            if read_set.digest not in concerned:
                concerned[read_set.digest] = read_set.reads(reads)
            return concerned[read_set.digest]

        def shows(member: Member, find: Find) -> bool:
            return (
                not member.departed
                and group in ("", member.group)
                and declared in (None, member.declared)
                and (not reads or is_concerned(member.name, find))
            )

        others = (Declaration, ReadSet) if reads else (Declaration,)
        return self._page(scope, Member, limit, marker, at, shows, others)

    def join(
        self,
        scope: Scope,
        name: str,
        request: JoinRequest,
        author: Author,
        idempotency: Idempotency | None = None,
        precondition: Precondition = ANY,
    ) -> Joined:
        """Join as a new incarnation, change the current generation, or declare a member.

        A new incarnation replaces the former one, whose facts are deleted.  If the name was only
        declared, the new incarnation adopts the declared member, which is a change and not a join.

        :param idempotency: a join that repeats the one of the living incarnation changes nothing.
        :param precondition: on the living member.
        :raises PreconditionFailed: *precondition* is not met.
        :raises Conflict: ``generation_stale``; ``member_ttl_fixed``: the generation has another ttl;
            ``member_declared``: it is declared as another resource; or ``idempotency_key_reused``.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        check_name(request.group, "group")
        done = self._transactor.run(
            JoinMember(scope, name, request, author, idempotency, precondition)
        )
        member = done.written_record(done.outcome.member)
        return Joined(member, done.outcome.outcome, done.cursor)

    def set_state(
        self,
        scope: Scope,
        name: str,
        state: MemberState,
        generation: str | None,
        author: Author,
        precondition: Precondition = ANY,
    ) -> MemberView:
        """Set a member's state to ready or draining, and return the member without its read set.

        :raises NotFound: no living member has that name.
        :raises Conflict: ``generation_stale``.
        :raises PreconditionFailed: *precondition* is not met.
        """
        _check(scope, name)
        operation = SetMemberState(scope, name, state, generation, author, precondition)
        done = self._transactor.run(operation)
        return MemberView(done.written_record(done.outcome), None, done.cursor.epoch)

    def depart(
        self,
        scope: Scope,
        name: str,
        reason: str,
        generation: str | None,
        author: Author,
        declared: str | None = None,
        *,
        keeps_declaration: bool = False,
        precondition: Precondition = ANY,
    ) -> Cursor:
        """End a member and the facts that are bound to it; return the cursor of its departure.

        :param declared: the resource that the member must be declared as; None to skip the check.
        :param keeps_declaration: True if a declared member that has joined is awaited again afterwards.
        :raises NotFound: no living member has that name.
        :raises Conflict: ``generation_stale``; or ``member_declared``: it is not declared, or as
            another resource.
        :raises PreconditionFailed: *precondition* is not met.
        """
        _check(scope, name)
        operation = DepartMember(
            scope, name, reason, generation, author, declared, keeps_declaration, precondition
        )
        return self._transactor.run(operation).cursor

    def heartbeat(
        self, scope: Scope, name: str, generation: str | None, applied: Cursor | None
    ) -> None:
        """Restart a member's time; record the revision that it has applied.

        It makes a revision only if the member lagged and has applied more.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        :raises CursorExpired: *applied* is of another epoch or newer than the store; the member's time
            was restarted nevertheless.
        """
        _check(scope, name)
        deadline = self._deadline()
        member = self._renewal.renew(scope, name, generation, deadline)
        if applied is not None:
            self._reports.record(scope, member, applied, deadline)

    def start_heartbeat(
        self,
        scope: Scope,
        name: str,
        generation: str | None,
        applied: Cursor | None,
        ended: Callable[[bool], object],
    ) -> bool:
        """Start :meth:`heartbeat` without waiting; return False if that is not possible.

        :param ended: called with True once the member's time has been restarted; with False if
            :meth:`heartbeat` has to be called.
        """
        _check(scope, name)
        return self._renewal.start(scope, name, generation, applied, ended)

    def report(
        self, scope: Scope, name: str, generation: str | None, applied: Cursor | None
    ) -> None:
        """Record soon the revision that a member has applied, without restarting its time.

        A cursor of another epoch, or one that is newer than the store, is not recorded.

        :param applied: None to check the generation only.
        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``.
        """
        _check(scope, name)
        deadline = self._deadline()
        member = self._store.state().member(scope, name)
        if member is None or generation not in (None, member.generation):
            member = living(self._store.refresh(deadline), scope, name, generation)
        if applied is not None:
            self._reports.add(scope, member, applied, deadline)


def _check(scope: Scope, name: str) -> None:
    check_stack_name(scope.stack)
    check_name(name, "member")
