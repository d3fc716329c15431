"""Turns: taking and giving back, reading, and waiting for them.

A request that waits for a turn is woken by changes of that queue only, not by those of its stack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.turn import QueuedTurn, TurnRequest
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.turns import GiveTurnBack, TakeTurn, turn_missing
from factstore.core.services.event_service import EventService
from factstore.core.state.state import State
from factstore.core.state.turn_queues import queue_scope


@quick_dataclass(frozen=True, slots=True)
class Taken:
    """A member's turn, and the outcome of the request for it."""

    queued: QueuedTurn
    created: bool
    cursor: Cursor


class TurnService(EventService):
    """The service for turns."""

    def take(
        self,
        scope: Scope,
        queue: str,
        member: str,
        request: TurnRequest,
        author: Author,
        *,
        wait: float = 0,
    ) -> Taken:
        """Take a turn at the end of a queue, and wait until it is held.

        A member has at most one turn in a queue, and keeps the one that it has.

        :param wait: seconds to wait; the turn is returned after that even if it is not held.
        :raises NotFound: there is no such member, or the turn ended during the wait.
        :raises Conflict: ``generation_stale``, ``member_missing`` or ``rank_missing``.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, queue, member)
        done = self._transactor.run(TakeTurn(scope, queue, member, request, author))
        try:
            queued = self.get(scope, queue, member, wait=wait, unless=lambda found: not found.holds)
        except NotFound:
            if wait:  # it ended before it was held
                raise
            queued = replace(
                done.outcome.queued, turn=done.written_record(done.outcome.queued.turn)
            )
        return Taken(queued, done.outcome.created, done.cursor)

    def give_back(
        self, scope: Scope, queue: str, member: str, generation: str | None, author: Author
    ) -> Cursor:
        """Give a turn back, with its rank; return the cursor since which it is over.

        :raises NotFound: there is no such turn.
        :raises Conflict: ``generation_stale``: the turn is another incarnation's.
        """
        _check(scope, queue, member)
        operation = GiveTurnBack(scope, queue, member, generation, author)
        return self._transactor.run(operation).cursor

    def get(
        self,
        scope: Scope,
        queue: str,
        member: str,
        *,
        wait: float = 0,
        unless: Callable[[QueuedTurn], bool],
        stale: bool = False,
    ) -> QueuedTurn:
        """Return a member's turn in a queue; wait while *unless* is true for it.

        :raises NotFound: there is no such turn, or it ended meanwhile.
        """
        _check(scope, queue, member)

        def read(state: State) -> QueuedTurn:
            with state.read():
                stack_state = state.stack_state(scope)
                found = stack_state.turn_queues.find(queue, member) if stack_state else None
            if found is None:
                raise turn_missing(scope, queue, member)
            return found

        return self._query(queue_scope(scope, queue), every_change=True).read(
            read, unless, wait, stale=stale
        )

    def list(
        self,
        scope: Scope,
        queue: str = "",
        *,
        wait: float = 0,
        unless: Callable[[tuple[QueuedTurn, ...]], bool],
        stale: bool = False,
    ) -> tuple[QueuedTurn, ...]:
        """Return the turns of a queue in order, or those of all queues; wait while *unless* is true.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        if queue:
            check_name(queue, "queue")

        def read(state: State) -> tuple[QueuedTurn, ...]:
            with state.read():
                stack_state = state.stack_state(scope)
                if stack_state is None:
                    raise stack_missing(scope)
                return tuple(stack_state.turn_queues.queued(queue))

        return self._query(queue_scope(scope, queue) if queue else scope, every_change=True).read(
            read, unless, wait, stale=stale
        )


def _check(scope: Scope, queue: str, member: str) -> None:
    check_stack_name(scope.stack)
    check_name(queue, "queue")
    check_name(member, "member")
