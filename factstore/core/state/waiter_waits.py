"""The waits of pending waiters, combined as their conditions are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from itertools import islice

from factstore.core.model.comparison import Test
from factstore.core.model.condition import (
    AllOf,
    AnyOf,
    Condition,
    Converged,
    EveryMember,
    Facts,
    Signals,
)
from factstore.core.model.path import RESULTS
from factstore.core.model.wait import ANY_GROUP, Goal, Need, Obstacle, Party, Wait
from factstore.core.model.waiter import Waiter
from factstore.core.state.condition_counters import (
    ConvergedCounter,
    EveryMemberCounter,
    FactsCounter,
    LeafCounter,
)
from factstore.core.state.condition_tracker import Tracker

WAITS_PER_CONDITION = 1000

PathWait = Callable[[Party, str, str, Test], Wait]
"""Returns the wait for the fact at a path, for one that waits since an instant until a test passes."""


def waiter_need(waiter: Waiter, tracker: Tracker, members: Set[str], path_wait: PathWait) -> Need:
    """Return the waits of a pending waiter.

    :param members: the living members.
    """
    return _Waits(waiter, tracker, members, path_wait).need(tracker.definition.success)


class _Waits:
    def __init__(
        self, waiter: Waiter, tracker: Tracker, members: Set[str], path_wait: PathWait
    ) -> None:
        self._who = Party("waiter", waiter.name)
        self._since = waiter.armed_at
        self._tracker = tracker
        self._members = members
        self._path_wait = path_wait

    def need(self, condition: Condition) -> Need:
        if isinstance(condition, AllOf | AnyOf):
            parts = tuple(map(self.need, condition.conditions))
            return Need(parts, len(parts) if isinstance(condition, AllOf) else 1)
        if isinstance(condition, Signals):
            left = condition.count - self._tracker.successful_signals
            return self._all([self._wait(Goal("signals", self._who.name))] if left > 0 else [])
        return self._leaf(condition, self._tracker.counters[condition])

    def _leaf(self, condition: Condition, counter: LeafCounter) -> Need:
        match condition, counter:
            case Facts(), FactsCounter():
                return self._facts(condition, counter)
            case EveryMember(), EveryMemberCounter():
                return self._all(
                    [
                        *self._absent(condition.group, condition.at_least - len(counter.members)),
                        *(
                            self._path_wait(
                                self._who,
                                self._since,
                                f"nodes/{name}/{condition.fact}",
                                condition.test,
                            )
                            for name in islice(counter.lacking, WAITS_PER_CONDITION)
                        ),
                    ]
                )
            case Converged(), ConvergedCounter():
                lagging = islice(counter.lagging, WAITS_PER_CONDITION)
                return self._all(
                    [
                        *self._absent(condition.group, 1 - len(counter.members)),
                        *(
                            self._wait(Goal("member", name), (Party("member", name),))
                            for name in lagging
                        ),
                    ]
                )
        return self._all([])

    def _facts(self, condition: Facts, counter: FactsCounter) -> Need:
        left = condition.count - len(counter.passing)
        if left <= 0:
            return self._all([])
        pattern = condition.pattern
        if "*" not in pattern.split("/"):
            return self._all([self._path_wait(self._who, self._since, pattern, condition.test)])
        return self._all([self._pattern_wait(pattern, left, counter)])

    def _pattern_wait(self, pattern: str, left: int, counter: FactsCounter) -> Wait:
        goal = Goal("path", pattern)
        if pattern.startswith(("nodes/*/", f"{RESULTS}*/")) and pattern.count("*") == 1:
            done = {path.split("/", 2)[1] for path in counter.passing}
            owners = tuple(Party("member", name) for name in sorted(self._members - done))
            if len(owners) >= left:  # else further members have to join
                return self._wait(goal, owners, left)
        return self._wait(goal)

    def _absent(self, group: str, count: int) -> Iterable[Wait]:
        return [self._wait(Goal("group", group or ANY_GROUP))] if count > 0 else []

    def _wait(
        self,
        goal: Goal,
        owners: tuple[Party, ...] = (),
        needs: int = 1,
        obstacle: Obstacle | None = None,
    ) -> Wait:
        return Wait("waiter", self._who, goal, owners, self._since, needs, obstacle=obstacle)

    @staticmethod
    def _all(waits: list[Wait]) -> Need:
        return Need(tuple(waits), len(waits))
