"""Actions: creating, reading and waiting, cancelling, and reporting results.

A request that waits for an action, or for a member's next one, is woken by changes of these only, not
by those of its stack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import islice

from factstore.core.errors import Forbidden
from factstore.core.model.action import ActionRequest
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.permissions import Permissions
from factstore.core.operations.action_results import ReportActionResult, run_missing
from factstore.core.operations.actions import (
    CancelAction,
    CreateAction,
    DeleteAction,
    action_missing,
)
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.operation import Committed, stack_missing
from factstore.core.services.event_service import NamingService
from factstore.core.state.action_runs import (
    action_scope,
    all_actions_scope,
    member_actions_scope,
)
from factstore.core.state.action_view import ActionView, MemberRun
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State


class ActionService(NamingService):
    """The service for actions."""

    def create(
        self,
        scope: Scope,
        request: ActionRequest,
        author: Author,
        idempotency: Idempotency | None = None,
    ) -> ActionView:
        """Create an action for the members that have joined, and return it.

        :raises NotFound: there is no such stack.
        :raises Conflict: ``member_missing``, or ``idempotency_key_reused``.
        :raises Forbidden: ``quota_exceeded``.
        """
        check_stack_name(scope.stack)
        self._state()  # no guard covers members that join or leave, so read a fresh state
        operation = CreateAction(scope, self._new_id(), request, author, idempotency)
        return _written(self._transactor.run(operation))

    def cancel(self, scope: Scope, action: str, author: Author) -> ActionView:
        """Cancel an action, and return it; one that was cancelled before is left alone.

        :raises NotFound: there is no such action.
        :raises Conflict: ``action_ended``.
        """
        _check(scope, action)
        return _written(self._transactor.run(CancelAction(scope, action, author)))

    def delete(self, scope: Scope, action: str, author: Author) -> None:
        """Delete an action and its results.  A member that runs it ends that.

        :raises NotFound: there is no such action.
        """
        _check(scope, action)
        self._transactor.run(DeleteAction(scope, action, author))

    def report(
        self,
        scope: Scope,
        action: str,
        member: str,
        report: ConfigurationResult,
        author: Author,
        *,
        fences: Collection[str] = (),
    ) -> tuple[MemberRun, bool]:
        """Store the result of a member's run; return the run, and whether anything changed.

        :param fences: generations of members; all must be alive.
        :raises NotFound: there is no such action, or the member is not one of its members.
        :raises Conflict: ``action_ended``, ``action_waiting`` or ``generation_stale``.
        """
        _check(scope, action, member)
        operation = ReportActionResult(scope, action, member, report, author, fences)
        done = self._transactor.run(operation)
        found = done.outcome.run
        if done.outcome.changed and found.run.result is not None:
            result = done.written_record(found.run.result)
            found = replace(found, run=replace(found.run, result=result))
        return found, done.outcome.changed

    # Reading

    def list(
        self,
        scope: Scope,
        *,
        wait: float = 0,
        unless: Callable[[tuple[ActionView, ...]], bool],
        stale: bool = False,
    ) -> tuple[ActionView, ...]:
        """Return all actions in the order in which they were created; wait while *unless* is true.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)

        def read(state: State) -> tuple[ActionView, ...]:
            with state.read():
                return tuple(_stack(state, scope).actions.views())

        return self._query(all_actions_scope(scope), every_change=True).read(
            read, unless, wait, stale=stale
        )

    def get(
        self,
        scope: Scope,
        action: str,
        *,
        wait: float = 0,
        unless: Callable[[ActionView], bool] | None = None,
        stale: bool = False,
    ) -> ActionView:
        """Return an action; wait while *unless* is true for it, or without it until it has ended.

        :raises NotFound: it does not exist, or was deleted meanwhile.
        """
        _check(scope, action)

        def read(state: State) -> ActionView:
            with state.read():
                actions = _stack(state, scope).actions
                found = actions.find(action)
                if found is None:
                    raise action_missing(scope, action)
                return actions.view(found)

        return self._query(action_scope(scope, action), every_change=True).read(
            read, unless or _is_running, wait, stale=stale
        )

    def of_member(
        self,
        scope: Scope,
        member: str,
        *,
        wait: float = 0,
        unless: Callable[[tuple[MemberRun, ...]], bool],
        stale: bool = False,
    ) -> tuple[MemberRun, ...]:
        """Return the runs of a member that have not ended, in order; wait while *unless* is true.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        check_name(member, "member")

        def read(state: State) -> tuple[MemberRun, ...]:
            with state.read():
                return tuple(_stack(state, scope).actions.of_member(member))

        return self._query(member_actions_scope(scope, member), every_change=True).read(
            read, unless, wait, stale=stale
        )

    def own_run(
        self, scope: Scope, action: str, permissions: Permissions, *, stale: bool = False
    ) -> MemberRun:
        """Return the run of the member whose grant the caller holds.

        :raises Forbidden: the grant is for no member, or the member does not take part in the action.
        :raises NotFound: there is no such action.
        """
        found, member = self.get(scope, action, stale=stale), permissions.member
        for run in found.runs:
            if run.member == member:
                return MemberRun(found.action, run)
        raise Forbidden("With a grant, only the actions of its own member can be shown.")

    def run(self, scope: Scope, action: str, member: str, *, stale: bool = False) -> MemberRun:
        """Return the run of one member.

        :raises NotFound: there is no such action, or the member is not one of its members.
        """
        _check(scope, action, member)
        state = self._state(stale=stale)
        with state.read():
            actions = _stack(state, scope).actions
            found = actions.find(action)
            run = actions.run(found, member) if found else None
            if found is None or run is None:
                raise run_missing(scope, action, member) if found else action_missing(scope, action)
            return MemberRun(found, run)

    def runs(
        self, scope: Scope, action: str, *, limit: int, marker: str = "", stale: bool = False
    ) -> tuple[tuple[MemberRun, ...], str | None]:
        """Return the runs of an action by the names of its members, and the marker of the next page.

        :raises NotFound: there is no such action.
        """
        _check(scope, action)
        if marker:
            check_name(marker, "marker")
        found = self.get(scope, action, stale=stale)
        after = (run for run in found.runs if run.member > marker)
        page = list(islice(after, limit + 1))
        following = page[limit - 1].member if len(page) > limit else None
        return tuple(MemberRun(found.action, run) for run in page[:limit]), following


def _written(done: Committed[ActionView]) -> ActionView:
    return replace(done.outcome, action=done.written_record(done.outcome.action))


def _check(scope: Scope, action: str, member: str | None = None) -> None:
    check_stack_name(scope.stack)
    check_name(action, "action")
    if member is not None:
        check_name(member, "member")


def _stack(state: State, scope: Scope) -> StackState:
    found = state.stack_state(scope)
    if found is None:
        raise stack_missing(scope)
    return found


def _is_running(found: ActionView) -> bool:
    return not found.ended
