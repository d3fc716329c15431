"""The incremental aggregate of numbers.

A change costs a binary search in the numbers, however many there are.  The result depends only on the
present facts and members, not on their history: the sum is exact, so all workers find the same one.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, insort

from factstore.core.model.aggregate import Aggregate
from factstore.core.model.comparison import Number, number_of
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.state.condition_counters import (
    HIDDEN,
    CountedContents,
    Found,
    LeafCounter,
    Names,
    member_of,
)

SCALE = 1074  # every finite float is a whole multiple of 2 ** -1074
EXACT = 2**53  # up to which whole floats are shown as whole numbers


class NumbersCounter(LeafCounter):
    """The numbers of the facts of a pattern, or of a fact of members.

    A fact of a member may exist before the member and after it, so its number is recorded even without
    a member.
    """

    def __init__(self, condition: Aggregate) -> None:
        self.pattern = condition.pattern
        self.group = None if condition.facts else condition.group
        self._draining = condition.include_draining
        self._members: set[str] = set()
        self._numbers: dict[str, Number] = {}
        self._hidden: set[str] = set()
        self._ignored = Names()
        self._present: dict[str, Number] = {}
        self._sorted: list[Number] = []
        self._whole = self._scaled_sum = 0

    def load(self, view: CountedContents, found: Found) -> None:
        ignored, numbers = [], self._numbers
        for path, fact in found:
            name = path if self.group is None else member_of(path)
            number = number_of(fact)
            if number is not None:
                numbers[name] = number
                if self.group is None:
                    self._add(number, 1)
                continue
            ignored.append(name)
            if fact.sensitive:
                self._hidden.add(name)
        if self.group is None:
            self._present = numbers.copy()
        else:
            self._members = {n for n, each in view.members.items() if self._counts(each)}
            self._present = {name: numbers[name] for name in self._members if name in numbers}
            ignored = [name for name in self._members if name not in numbers]
            for number in self._present.values():
                self._add(number, 1)
        self._ignored = Names(ignored)
        self._sorted = sorted(self._present.values())

    def fact(self, path: str, fact: Fact | None) -> None:
        name = path if self.group is None else member_of(path)
        number = None if fact is None else number_of(fact)
        if number is None:
            self._numbers.pop(name, None)
        else:
            self._numbers[name] = number
        if fact is not None and fact.sensitive:
            self._hidden.add(name)
        else:
            self._hidden.discard(name)
        if self.group is None:
            self._ignored.put(name, fact is not None and number is None)
        self._evaluate(name)

    def member(self, name: str, member: Member | None, *, lags: bool) -> None:
        if self._counts(member):
            self._members.add(name)
        else:
            self._members.discard(name)
        self._evaluate(name)

    def _counts(self, member: Member | None) -> bool:
        return member is not None and member.counts(self.group or "", self._draining)

    def _evaluate(self, name: str) -> None:
        """Update the numbers that count by that of one fact or member."""
        counts = self.group is None or name in self._members
        number = self._numbers.get(name) if counts else None
        if self.group is not None:
            self._ignored.put(name, counts and number is None)
        known = self._present.pop(name, None)
        if known is not None:
            # Equal numbers, such as 1 and 1.0, are exchangeable here.
            del self._sorted[bisect_left(self._sorted, known)]
            self._add(known, -1)
        if number is not None:
            self._present[name] = number
            insort(self._sorted, number)
            self._add(number, 1)

    def _add(self, number: Number, times: int) -> None:
        # Sums of whole numbers are exact and cheap; the others are scaled to whole ones.
        if isinstance(number, int):
            self._whole += times * number
        else:
            self._scaled_sum += times * _scaled(number)

    def ignored(self) -> list[str]:
        """Return the first paths, or members, without a number that counts, in order."""
        return [
            f"{name}{HIDDEN}" if name in self._hidden else name for name in self._ignored.first()
        ]

    def value(self, condition: Aggregate) -> Number | None:
        """Return the aggregate of a condition; None without a number, except for a count."""
        function, numbers = condition.function, self._sorted
        if function == "count":
            return len(numbers)
        if not numbers:
            return None
        if function in ("min", "max"):
            return _shown(numbers[0 if function == "min" else -1])
        divisor = len(numbers) if function == "avg" else 1
        total = (self._whole << SCALE) + self._scaled_sum
        try:
            return _shown(total / (divisor << SCALE))
        except OverflowError:  # a sum beyond all floats
            return _LARGEST if total > 0 else -_LARGEST


class AggregatePart:
    """An aggregate that is compared with a number."""

    def __init__(self, condition: Aggregate, counter: NumbersCounter) -> None:
        self._condition = condition
        self._counter = counter

    @property
    def value(self) -> Number | None:
        """The aggregate; None without a number, except for a count."""
        return self._counter.value(self._condition)

    def is_met(self, *, raised: bool) -> bool | None:
        """Return whether the comparison is true; None without data."""
        value = self.value
        return None if value is None else self._condition.is_met(value, raised=raised)

    def ignored(self) -> list[str]:
        """Return the first paths, or members, without a number that counts, in order."""
        return self._counter.ignored()

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
