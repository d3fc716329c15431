"""The conditions of a stack as they would count after changes that nobody has made.

A counter is copied when it changes, and only the names that it counts are, not the facts.  The stack's
own counters stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from factstore.core.model.condition import Leaf
from factstore.core.model.record import RecordKey
from factstore.core.state.condition_counters import LeafCounter
from factstore.core.state.stack_conditions import Shared, StackConditions


class ConditionFork(StackConditions):
    """The counters of a stack after changes.

    :param conditions: the stack's; they must not change while the fork is used.
    """

    def __init__(self, conditions: StackConditions) -> None:
        # Counters and the trees in which they are found are shared with the stack, and only read here.
        vars(self).update(vars(conditions))
        self.faults = dict(conditions.faults)
        self._lagging = set(conditions._lagging)
        self._used: dict[RecordKey, tuple[Leaf, ...]] = {}
        self._changed = set()
        self._own: dict[Shared, Shared] = {}

    def _find_or_make(self, leaf: Leaf) -> Shared | None:
        shared = super()._find_or_make(leaf)
        return shared if shared is None else self._own.get(shared, shared)

    def _update(self, shared: Shared, update: Callable[[LeafCounter], None]) -> None:
        if shared not in self._own:
            self._own[shared] = replace(shared, counter=shared.counter.fork())
        super()._update(self._own[shared], update)

    def _give_up_counter(self, shared: Shared, error: Exception) -> None:
        for user in shared.users:
            self.give_up(user, error)
