"""The incremental aggregate of numbers.

A change costs a binary search in the numbers, however many there are.  The result depends only on the
present facts and members, not on their history: the sum is exact, so all workers find the same one.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable

from factstore.core.model.aggregate import Aggregate
from factstore.core.model.comparison import Number, number_of
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.state.condition_counters import HIDDEN, LeafCounter, Names, path_matcher

SCALE = 1074  # every finite float is a whole multiple of 2 ** -1074
EXACT = 2**53  # up to which whole floats are shown as whole numbers


class AggregateCounter(LeafCounter):
    """The aggregate of the facts of a pattern, or of a fact of members.

    A fact of a member may exist before the member and after it, so its number is recorded even without
    a member.
    """

    def __init__(self, condition: Aggregate) -> None:
        self._condition = condition
        self._matches = path_matcher(condition.pattern)
        self._members: set[str] = set()
        self._numbers: dict[str, Number] = {}
        self._hidden: set[str] = set()
        self._ignored = Names()
        self._present: dict[str, Number] = {}
        self._sorted: list[Number] = []
        self._sum = 0

    def fact(self, path: str, fact: Fact | None) -> None:
        if not self._matches(path):
            return
        name = path if self._condition.facts else path.split("/", 2)[1]
        number = None if fact is None else number_of(fact)
        if number is None:
            self._numbers.pop(name, None)
        else:
            self._numbers[name] = number
        if fact is not None and fact.sensitive:
            self._hidden.add(name)
        else:
            self._hidden.discard(name)
        if self._condition.facts:
            self._ignored.put(name, fact is not None and number is None)
        self._evaluate(name)

    def member(self, name: str, member: Member | None) -> None:
        if self._condition.facts:
            return
        group, draining = self._condition.group, self._condition.include_draining
        if member is not None and member.counts(group, draining):
            self._members.add(name)
        else:
            self._members.discard(name)
        self._evaluate(name)

    def concerned(self, paths: Collection[str]) -> Iterable[str]:
        pattern = self._condition.pattern
        if "*" not in pattern:
            return [pattern] if pattern in paths else []
        return filter(self._matches, paths)

    def _evaluate(self, name: str) -> None:
        """Update the numbers that count by that of one fact or member."""
        counts = bool(self._condition.facts) or name in self._members
        number = self._numbers.get(name) if counts else None
        if not self._condition.facts:
            self._ignored.put(name, counts and number is None)
        known = self._present.pop(name, None)
        if known is not None:
            # Equal numbers, such as 1 and 1.0, are exchangeable here.
            del self._sorted[bisect_left(self._sorted, known)]
            self._sum -= _scaled(known)
        if number is not None:
            self._present[name] = number
            insort(self._sorted, number)
            self._sum += _scaled(number)

    @property
    def value(self) -> Number | None:
        """The aggregate; None without a number, except for a count."""
        function, numbers = self._condition.function, self._sorted
        if function == "count":
            return len(numbers)
        if not numbers:
            return None
        if function in ("min", "max"):
            return _shown(numbers[0 if function == "min" else -1])
        divisor = len(numbers) if function == "avg" else 1
        try:
            return _shown(self._sum / (divisor << SCALE))
        except OverflowError:  # a sum beyond all floats
            return _LARGEST if self._sum > 0 else -_LARGEST

    def is_met(self, *, raised: bool) -> bool | None:
        """Return whether the comparison is true; None without data."""
        value = self.value
        return None if value is None else self._condition.is_met(value, raised=raised)

    def ignored(self) -> list[str]:
        """Return the first paths, or members, without a number that counts, in order."""
        return [
            f"{name}{HIDDEN}" if name in self._hidden else name for name in self._ignored.first()
        ]

    def described(self) -> str:
        """Return the aggregate in words."""
        condition, value = self._condition, self.value
        of = f"group {condition.group}" if condition.group else "all members"
        what = condition.facts or f"{condition.fact} of {of}"
        if value is None:
            return f"{what} has no number"
        return f"the {condition.function} of {what} is {value}"


_LARGEST = sys.float_info.max


def _scaled(number: Number) -> int:
    numerator, denominator = number.as_integer_ratio()
    return numerator << (SCALE + 1 - denominator.bit_length())  # the denominator is a power of two


def _shown(number: Number) -> Number:
    whole = isinstance(number, float) and number.is_integer() and abs(number) <= EXACT
    return int(number) if whole else number
