"""The evaluation of an alarm's condition on a changing stack.

Its counters are updated with each change.  A reading is a function of the present stack and of the
alarm's state, so all workers find the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from factstore.core.model.aggregate import Aggregate
from factstore.core.model.alarm import AlarmState
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.comparison import Number
from factstore.core.model.condition import AllOf, AnyOf, Condition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.state.aggregate_counter import AggregatePart, NumbersCounter
from factstore.core.state.condition_counters import LISTED
from factstore.core.state.condition_tracker import Counters, Part, part_of

_Evaluator = Callable[[bool], bool | None]
"""Returns whether a condition of an alarm, that is raised or not, is true; None without data."""


@quick_dataclass(frozen=True, slots=True)
class Reading:
    """The present evaluation of an alarm.

    :param is_met: True if the condition is true; None without data.
    :param value: the number that decides; None if none does.
    """

    is_met: bool | None
    value: Number | None
    reason: str


class AlarmTracker:
    """The evaluation of one alarm's condition."""

    def __init__(self, definition: AlarmDefinition, counters: Counters) -> None:
        self._counters = counters
        self._aggregates: list[AggregatePart] = []
        self._evaluate = self._evaluator(definition.condition)

    def is_met(self, state: AlarmState) -> bool | None:
        """Return whether the condition is true for an alarm in a state; None without data."""
        return self._evaluate(state == "alarm")

    def reading(self, state: AlarmState) -> Reading:
        """Return the evaluation for an alarm in a state."""
        raised = state == "alarm"
        is_met = self._evaluate(raised)
        deciding = [each for each in self._aggregates if each.is_met(raised=raised) is is_met]
        if deciding:
            return Reading(is_met, deciding[0].value, deciding[0].described())
        return Reading(is_met, None, f"the condition is {'true' if is_met else 'false'}")

    def ignored(self) -> list[str]:
        """Return the first paths and members whose values are no numbers that count, in order."""
        names = {name for part in self._aggregates for name in part.ignored()}
        return sorted(names)[:LISTED]

    def _evaluator(self, condition: Condition) -> _Evaluator:
        match condition:
            case AllOf(conditions):
                parts = [self._evaluator(part) for part in conditions]
                return lambda raised: _all([part(raised) for part in parts])
            case AnyOf(conditions):
                parts = [self._evaluator(part) for part in conditions]
                return lambda raised: _any([part(raised) for part in parts])
        counter = self._counters[condition]
        if isinstance(condition, Aggregate) and isinstance(counter, NumbersCounter):
            aggregate = AggregatePart(condition, counter)
            self._aggregates.append(aggregate)
            return lambda raised: aggregate.is_met(raised=raised)
        part = part_of(condition, counter)
        if part is None:
            raise AssertionError("an alarm's definition contains signals")
        return lambda raised: _is_complete(part)


def _is_complete(part: Part) -> bool:
    satisfied, needed = part.score()
    return satisfied == needed


def _all(parts: Sequence[bool | None]) -> bool | None:
    """Return whether all parts are true; without the data of some, only a false one decides."""
    if False in parts:
        return False
    return None if None in parts else True


def _any(parts: Sequence[bool | None]) -> bool | None:
    """Return whether a part is true; without the data of some, only a true one decides."""
    if True in parts:
        return True
    return None if None in parts else False
