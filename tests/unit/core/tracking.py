"""Trackers of waiters and alarms with the counters of their stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from factstore.core.model.alarm import Alarm, AlarmState
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.condition import Leaf, leaves
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import Progress, Signal, Waiter
from factstore.core.state.alarm_tracker import AlarmTracker, Reading
from factstore.core.state.condition_counters import LeafCounter
from factstore.core.state.condition_tracker import Tracker, Verdict
from factstore.core.state.stack_conditions import StackConditions

if TYPE_CHECKING:
    from tests.unit.core.naive_conditions import World


class Tracked:
    """The counters of a stack, for one or several waiters and alarms."""

    def __init__(self, world: World, conditions: StackConditions | None = None) -> None:
        if conditions is None:
            conditions = StackConditions("s1")
            for name, member in world.members.items():
                conditions.member(name, member)
            for name in world.lagging:
                conditions.lagging(name, True)
        self.conditions = conditions
        self._world = world

    def counters(self, user: RecordKey, its: list[Leaf]) -> dict[Leaf, LeafCounter]:
        found = self.conditions.use(user, its)
        self.conditions.load(self._world)
        return found

    def fact(self, path: str, fact: Fact | None) -> None:
        self.conditions.fact(path, fact)

    def member(self, name: str, member: Member | None) -> None:
        alive = member is not None and member.state != "departed"
        self.conditions.member(name, member if alive else None)

    def lagging(self, name: str, lags: bool) -> None:
        self.conditions.lagging(name, lags)

    def signal(self, key: str, signal: Signal | None) -> None:
        raise NotImplementedError


class TrackedWaiter(Tracked):
    """One waiter."""

    def __init__(
        self,
        definition: Definition,
        world: World,
        conditions: StackConditions | None = None,
        name: str = "w",
    ) -> None:
        super().__init__(world, conditions)
        self.key = RecordKey(Waiter, name)
        self._tracker = Tracker(definition, self.counters(self.key, [*definition.leaves()]))
        for key, signal in world.signals.items():
            self._tracker.signal(key, signal)

    def signal(self, key: str, signal: Signal | None) -> None:
        self._tracker.signal(key, signal)

    def verdict(self) -> Verdict:
        return self._tracker.verdict()

    def progress(self) -> Progress:
        return self._tracker.progress()

    def reason(self) -> str:
        return self._tracker.reason()


class TrackedAlarm(Tracked):
    """One alarm."""

    def __init__(self, definition: AlarmDefinition, world: World) -> None:
        super().__init__(world)
        its: list[Any] = [*leaves(definition.condition)]
        self._tracker = AlarmTracker(definition, self.counters(RecordKey(Alarm, "a"), its))

    def reading(self, state: AlarmState) -> Reading:
        return self._tracker.reading(state)

    def ignored(self) -> list[str]:
        return self._tracker.ignored()
