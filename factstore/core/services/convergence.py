"""Convergence: which members have applied the stack's target revision, and which lag."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.member import Member
from factstore.core.model.path import check_name, check_stack_name, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.services.event_service import EventReadService
from factstore.core.state.state import State


@quick_dataclass(frozen=True, slots=True)
class MemberConvergence:
    """A member, and the revision that it has applied.

    :param target: the newest revision that the member has to apply; None if none concerned it.
    :param applied: the revision that it has applied; None if it has reported none.
    """

    member: Member
    target: Cursor | None
    applied: Cursor | None
    lags: bool


@quick_dataclass(frozen=True, slots=True)
class ConvergenceView:
    """The convergence of a stack's members, or of a group's members.

    :param target: the newest revision at which a fact outside ``results/`` or a member changed.
    :param members: the members that count.
    """

    target: Cursor
    members: tuple[MemberConvergence, ...]

    @property
    def concerned(self) -> int:
        """The number of members that the newest revision concerns."""
        return sum(1 for each in self.members if each.target == self.target)

    @property
    def reached(self) -> bool:
        """True if there are members and none lags."""
        return bool(self.members) and not any(f.lags for f in self.members)


class ConvergenceService(EventReadService):
    """The service for convergence.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def get(
        self,
        scope: Scope,
        *,
        group: str = "",
        include_draining: bool = False,
        wait: float = 0,
        unless: Callable[[ConvergenceView], bool] | None = None,
        stale: bool = False,
    ) -> ConvergenceView:
        """Return the convergence; wait for it.

        :param group: only the members of this group; empty for all.
        :param include_draining: True if draining members count too.
        :param wait: seconds to block while *unless* is true; without it, until all have converged.
        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        if group:
            check_name(group, "group")
        query = self._query(scope, every_change=True)
        found = None
        for state in query.states(wait, stale=stale):
            with state.read():
                found = None
                # While many members apply a change, each of them wakes those that wait for all.
                if unless is not None or not self._lags(state, scope, group, include_draining):
                    found = self._read(state, scope, group, include_draining)
            if found is not None and (found.reached if unless is None else not unless(found)):
                return found
        return found or self._read(state, scope, group, include_draining)

    @staticmethod
    def _lags(state: State, scope: Scope, group: str, include_draining: bool) -> bool:
        """Return True if a member that counts lags, usually without reading the others."""
        stack_state = state.stack_state(scope)
        if stack_state is None:
            return False
        members = stack_state.live_members
        lagging = stack_state.convergence.lagging
        return any(members[name].counts(group, include_draining) for name in lagging)

    def _read(
        self, state: State, scope: Scope, group: str, include_draining: bool
    ) -> ConvergenceView:
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None:
                raise NotFound(f"There is no stack named {quoted(scope.stack)}.")
            convergence = stack_state.convergence
            convergence.check()

            def cursor(revision: int | None) -> Cursor | None:
                return Cursor(state.epoch, revision) if revision else None

            members = tuple(
                MemberConvergence(
                    member,
                    cursor(convergence.target_of(name)),
                    cursor(convergence.applied.get(name)),
                    name in convergence.lagging,
                )
                for name, member in sorted(stack_state.live_members.items())
                if member.counts(group, include_draining)
            )
            target = convergence.target
        return ConvergenceView(Cursor(state.epoch, target), members)
