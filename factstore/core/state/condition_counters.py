"""Counters for the conditions without parts.

A counter is updated by one change at a time, in time that does not grow with the number of facts, and
reads no state.  It is consistent only at the end of a revision.  Its condition is met if the count
reaches the number needed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable

from factstore.core.model.condition import Converged, EveryMember, Facts, Signals
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.waiter import Signal

LISTED = 100
"""The maximum number of names in a progress."""
HIDDEN = " (sensitive)"
"""The suffix of the name of a fact or a member whose value is sensitive and not compared."""


class Names:
    """A sorted set of names; listing the first ones is cheap."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def put(self, name: str, included: bool) -> None:
        """Add a name to the set, or remove it."""
        at = bisect_left(self._names, name)
        known = self._names[at : at + 1] == [name]
        if included and not known:
            self._names.insert(at, name)
        elif known and not included:
            del self._names[at]

    def first(self) -> list[str]:
        """Return the first names in order, at most :data:`LISTED`."""
        return self._names[:LISTED]


class LeafCounter:
    """The interface of all counters; most react to few kinds of change."""

    def fact(self, path: str, fact: Fact | None) -> None:
        """Update the fact at a path; None if it was deleted."""

    def member(self, name: str, member: Member | None) -> None:
        """Update a member; None if it is no longer alive."""

    def lagging(self, name: str, lags: bool) -> None:
        """Update whether a member lags."""

    def signal(self, key: str, signal: Signal | None) -> None:
        """Update a signal; None if it was deleted."""

    def concerned(self, paths: Collection[str]) -> Iterable[str]:
        """Return the paths among *paths* that affect the counter, in order."""
        return ()

    def score(self) -> tuple[int, int]:
        """Return the count and the number needed; the count never exceeds the number."""
        raise NotImplementedError

    def missing(self) -> list[str]:
        """Return the first names of the unmet parts, in order; empty if the condition is met."""
        raise NotImplementedError

    def holding(self) -> list[str]:
        """Return the first names of the met parts, in order."""
        return []


class FactsCounter(LeafCounter):
    """Counts the facts of a pattern that pass."""

    def __init__(self, condition: Facts) -> None:
        self._condition = condition
        self._matches = path_matcher(condition.pattern)
        self._passing, self._others = Names(), Names()
        self._hidden: set[str] = set()

    def fact(self, path: str, fact: Fact | None) -> None:
        if not self._matches(path):
            return
        passes = self._condition.test.passes(fact)
        _put(self._hidden, path, self._condition.test.is_hidden(fact))
        self._passing.put(path, passes)
        self._others.put(path, fact is not None and not passes)

    def concerned(self, paths: Collection[str]) -> Iterable[str]:
        pattern = self._condition.pattern
        if "*" not in pattern:
            return [pattern] if pattern in paths else []
        return sorted(filter(self._matches, paths))

    def score(self) -> tuple[int, int]:
        return min(len(self._passing), self._condition.count), self._condition.count

    def missing(self) -> list[str]:
        if len(self._passing) >= self._condition.count:
            return []
        # Without a star a fact that does not pass has the pattern's own path.
        return _explained(self._others, self._hidden) or [self._condition.pattern]

    def holding(self) -> list[str]:
        return self._passing.first()


class EveryMemberCounter(LeafCounter):
    """Counts a group's members whose fact passes.

    A fact may exist before its member and after it, so passing facts are recorded even without a
    member.
    """

    def __init__(self, condition: EveryMember) -> None:
        self._condition = condition
        self._matches = path_matcher(f"nodes/*/{condition.fact}")
        self._members: set[str] = set()
        self._passing: set[str] = set()
        self._hidden: set[str] = set()
        self._ready, self._others = Names(), Names()

    def fact(self, path: str, fact: Fact | None) -> None:
        if self._matches(path):
            name = path.split("/", 2)[1]
            _put(self._passing, name, self._condition.test.passes(fact))
            _put(self._hidden, name, self._condition.test.is_hidden(fact))
            self._evaluate(name)

    def member(self, name: str, member: Member | None) -> None:
        _put(self._members, name, _counts(member, self._condition))
        self._evaluate(name)

    def _evaluate(self, name: str) -> None:
        alive, passes = name in self._members, name in self._passing
        self._ready.put(name, alive and passes)
        self._others.put(name, alive and not passes)

    def concerned(self, paths: Collection[str]) -> Iterable[str]:
        return sorted(filter(self._matches, paths))

    def score(self) -> tuple[int, int]:
        return len(self._ready), max(len(self._members), self._condition.at_least)

    def missing(self) -> list[str]:
        return _explained(self._others, self._hidden)

    def holding(self) -> list[str]:
        return self._ready.first()


class ConvergedCounter(LeafCounter):
    """Counts the members that do not lag."""

    def __init__(self, condition: Converged) -> None:
        self._condition = condition
        self._members: set[str] = set()
        self._lagging: set[str] = set()
        self._missing = Names()

    def member(self, name: str, member: Member | None) -> None:
        _put(self._members, name, _counts(member, self._condition))
        self._evaluate(name)

    def lagging(self, name: str, lags: bool) -> None:
        _put(self._lagging, name, lags)
        self._evaluate(name)

    def _evaluate(self, name: str) -> None:
        self._missing.put(name, name in self._members and name in self._lagging)

    def score(self) -> tuple[int, int]:
        return len(self._members) - len(self._missing), max(len(self._members), 1)

    def missing(self) -> list[str]:
        return self._missing.first()


class SignalsCounter(LeafCounter):
    """Counts signals of success; failures are evaluated by the tracker."""

    def __init__(self, condition: Signals) -> None:
        self._count = condition.count
        self._successes: set[str] = set()

    def signal(self, key: str, signal: Signal | None) -> None:
        _put(self._successes, key, signal is not None and signal.status == "SUCCESS")

    def score(self) -> tuple[int, int]:
        return min(len(self._successes), self._count), self._count

    def missing(self) -> list[str]:
        return ["signals"] if len(self._successes) < self._count else []


def counter_of(condition: Facts | EveryMember | Converged | Signals) -> LeafCounter:
    """Return a new counter for a condition."""
    match condition:
        case Facts():
            return FactsCounter(condition)
        case EveryMember():
            return EveryMemberCounter(condition)
        case Converged():
            return ConvergedCounter(condition)
        case Signals():
            return SignalsCounter(condition)


def path_matcher(pattern: str) -> Callable[[str], object]:
    """Return a function that is true for the paths of a pattern."""
    if "*" not in pattern:
        return pattern.__eq__
    segments = ("[^/]+" if part == "*" else re.escape(part) for part in pattern.split("/"))
    return re.compile("/".join(segments)).fullmatch


def _counts(member: Member | None, condition: EveryMember | Converged) -> bool:
    """Return True if a condition counts a member."""
    return member is not None and member.counts(condition.group, condition.include_draining)


def _explained(names: Names, hidden: set[str]) -> list[str]:
    """Return the first names, those with a sensitive value marked as such."""
    return [f"{name}{HIDDEN}" if name in hidden else name for name in names.first()]


def _put(names: set[str], name: str, included: bool) -> None:
    if included:
        names.add(name)
    else:
        names.discard(name)
