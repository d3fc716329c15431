"""The queues of one stack: their turns in order, and which of them are held."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator

from factstore.core.model.fact import Scope, Stack
from factstore.core.model.turn import QueuedTurn, Turn
from factstore.core.state.containment import Contained, contained


class TurnQueues(Contained):
    """The queues that have turns."""

    part = "turns"

    def __init__(self, stack_id: str) -> None:
        super().__init__(stack_id)
        self._queues: dict[str, list[Turn]] = {}
        self._turns: dict[tuple[str, str], Turn] = {}
        self._by_member: Counter[str] = Counter()
        self._changed: set[str] = set()

    @contained
    def put(self, turn: Turn) -> None:
        """Add a turn at the end of its queue; it replaces the member's earlier turn there."""
        self.drop(turn.queue, turn.member)
        self._turns[turn.queue, turn.member] = turn
        # Turns are loaded in the order of their keys.
        insort(self._queues.setdefault(turn.queue, []), turn, key=_order)
        self._by_member[turn.member] += 1
        self._changed.add(turn.queue)

    @contained
    def drop(self, queue: str, member: str) -> None:
        """Remove the member's turn from a queue, if it has one there."""
        turn = self._turns.pop((queue, member), None)
        if turn is None:
            return
        turns = self._queues[queue]
        del turns[bisect_left(turns, turn.order, key=_order)]
        if not turns:
            del self._queues[queue]
        self._by_member[member] -= 1
        self._changed.add(queue)

    def count(self, member: str) -> int:
        """Return the number of turns that a member has."""
        self.check()
        return self._by_member[member]

    def find(self, queue: str, member: str) -> QueuedTurn | None:
        """Return a member's turn in a queue with its place; None if there is no such turn."""
        self.check()
        turn = self._turns.get((queue, member))
        if turn is None:
            return None
        turns = self._queues[queue]
        ahead = bisect_left(turns, turn.order, key=_order)
        # A turn that is held never loses its place to later ones, even if they have other limits.
        holds = ahead < turn.max_parallel and all(
            ahead < other.max_parallel for other in turns[:ahead]
        )
        return QueuedTurn(turn, ahead + 1, holds)

    def queued(self, queue: str = "") -> Iterator[QueuedTurn]:
        """Yield the turns of a queue in order; without a name, those of all queues by name."""
        self.check()
        for name in [queue] if queue else sorted(self._queues):
            limit = 0
            for ahead, turn in enumerate(self._queues.get(name, ())):
                limit = min(limit, turn.max_parallel) if ahead else turn.max_parallel
                yield QueuedTurn(turn, ahead + 1, ahead < limit)

    def take_changed(self, stack: Stack) -> list[Scope]:
        """Return the scopes of the queues that have changed since the last call."""
        if not self._changed:
            return []
        changed, self._changed = self._changed, set()
        return [queue_scope(stack.scope, queue) for queue in changed]

    def end(self) -> None:
        """Count all queues as changed, because the stack is deleted."""
        self._changed.update(self._queues)


def queue_scope(scope: Scope, queue: str) -> Scope:
    """Return the scope that wakes only the readers of one queue; no stack has such a name."""
    return Scope(scope.project_id, f"{scope.stack}/{queue}")


def _order(turn: Turn) -> tuple[int, str]:
    return turn.order
