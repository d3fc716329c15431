"""How far each condition without parts has come.

A tally is moved by one change at a time, in time that does not grow with the number of facts, and
keeps what it needs to know itself: it looks at no state.  It knows of no revision: what it says in
the midst of one means nothing.  A tally holds just when it has as many as it needs.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from heapq import nsmallest

from factstore.core.model.condition import Converged, EveryMember, Facts, Leaf, Signals
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.waiter import Signal

LISTED = 100
"""How many names a progress lists at most."""


HIDDEN = " (sensitive)"
"""What follows the name of a fact, or member, of which no value is compared."""


class Names:
    """A set of names of which the first in order are cheap."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def put(self, name: str, inside: bool) -> None:
        """Have a name in the set, or not in it."""
        at = bisect_left(self._names, name)
        known = self._names[at : at + 1] == [name]
        if inside and not known:
            self._names.insert(at, name)
        elif known and not inside:
            del self._names[at]

    def first(self) -> list[str]:
        """The first in order."""
        return self._names[:LISTED]


class LeafCounter:
    """What all tallies are told and asked; most are moved by few kinds of change."""

    def fact(self, path: str, fact: Fact | None) -> None:
        """There is a new fact at a path, or none any more."""

    def member(self, name: str, member: Member | None) -> None:
        """A member has changed, or does not live any more."""

    def applied(self, name: str, seen: int | None) -> None:
        """A member has applied the facts up to a revision, or nobody knows of it any more."""

    def target(self, revision: int) -> None:
        """There is something new to apply."""

    def signal(self, key: str, signal: Signal | None) -> None:
        """A signal has come, been replaced, or gone."""

    def concerned(self, paths: Collection[str]) -> Iterable[str]:
        """Those of *paths* whose facts it wants to be told of, in order."""
        return ()

    def score(self) -> tuple[int, int]:
        """How many hold, and how many are needed; never more than needed."""
        raise NotImplementedError

    def missing(self) -> list[str]:
        """The first names of what does not hold, in order; none when the condition holds."""
        raise NotImplementedError

    def holding(self) -> list[str]:
        """The first names of what holds, in order."""
        return []


class FactsTally(LeafCounter):
    """Counts the facts of a pattern that pass."""

    def __init__(self, condition: Facts) -> None:
        self._condition = condition
        self._matches = _matcher(condition.pattern)
        self._passing, self._others = Names(), Names()
        self._hidden: set[str] = set()

    def fact(self, path: str, fact: Fact | None) -> None:
        if not self._matches(path):
            return
        passes = self._condition.test.passes(fact)
        _put(self._hidden, path, self._condition.test.cannot_tell(fact))
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


class EveryMemberTally(LeafCounter):
    """Counts a group's members whose fact passes.

    A fact may be there before its member and after it, so it keeps whose facts pass, member or not.
    """

    def __init__(self, condition: EveryMember) -> None:
        self._condition = condition
        self._matches = _matcher(f"nodes/*/{condition.fact}")
        self._members: set[str] = set()
        self._passing: set[str] = set()
        self._hidden: set[str] = set()
        self._ready, self._others = Names(), Names()

    def fact(self, path: str, fact: Fact | None) -> None:
        if self._matches(path):
            name = path.split("/", 2)[1]
            _put(self._passing, name, self._condition.test.passes(fact))
            _put(self._hidden, name, self._condition.test.cannot_tell(fact))
            self._evaluate(name)

    def member(self, name: str, member: Member | None) -> None:
        _put(self._members, name, _belongs(member, self._condition.group))
        self._evaluate(name)

    def _evaluate(self, name: str) -> None:
        lives, passes = name in self._members, name in self._passing
        self._ready.put(name, lives and passes)
        self._others.put(name, lives and not passes)

    def concerned(self, paths: Collection[str]) -> Iterable[str]:
        return sorted(filter(self._matches, paths))

    def score(self) -> tuple[int, int]:
        return len(self._ready), max(len(self._members), self._condition.at_least)

    def missing(self) -> list[str]:
        return _explained(self._others, self._hidden)

    def holding(self) -> list[str]:
        return self._ready.first()


class ConvergedTally(LeafCounter):
    """Counts a group's members that have applied all.

    They stand in order of what they applied, so that a new target, which comes with almost every
    change, moves nobody.
    """

    def __init__(self, condition: Converged) -> None:
        self._group = condition.group
        self._target = 0
        self._applied: dict[str, int] = {}
        self._members: dict[str, int] = {}
        self._line: list[tuple[int, str]] = []

    def member(self, name: str, member: Member | None) -> None:
        self._place(name, _belongs(member, self._group))

    def applied(self, name: str, seen: int | None) -> None:
        if seen is None:
            self._applied.pop(name, None)
        else:
            self._applied[name] = seen
        self._place(name, name in self._members)

    def target(self, revision: int) -> None:
        self._target = revision

    def _place(self, name: str, lives: bool) -> None:
        if name in self._members:
            del self._line[bisect_left(self._line, (self._members.pop(name), name))]
        if lives:
            seen = self._members[name] = self._applied.get(name, -1)
            self._line.insert(bisect_left(self._line, (seen, name)), (seen, name))

    def _lagging(self) -> int:
        return bisect_left(self._line, (self._target, ""))

    def score(self) -> tuple[int, int]:
        return len(self._line) - self._lagging(), max(len(self._line), 1)

    def missing(self) -> list[str]:
        return nsmallest(LISTED, (name for _, name in self._line[: self._lagging()]))


class SignalsTally(LeafCounter):
    """Counts those who have signalled success; what a failure means is not decided here."""

    def __init__(self, condition: Signals) -> None:
        self._count = condition.count
        self._successes: set[str] = set()

    def signal(self, key: str, signal: Signal | None) -> None:
        _put(self._successes, key, signal is not None and signal.status == "SUCCESS")

    def score(self) -> tuple[int, int]:
        return min(len(self._successes), self._count), self._count

    def missing(self) -> list[str]:
        return ["signals"] if len(self._successes) < self._count else []


def tally_of(condition: Leaf) -> LeafCounter:
    """A tally that has been told nothing yet."""
    match condition:
        case Facts():
            return FactsTally(condition)
        case EveryMember():
            return EveryMemberTally(condition)
        case Converged():
            return ConvergedTally(condition)
        case Signals():
            return SignalsTally(condition)


def _matcher(pattern: str) -> Callable[[str], object]:
    """Whether a path is one of a pattern's."""
    if "*" not in pattern:
        return pattern.__eq__
    segments = ("[^/]+" if part == "*" else re.escape(part) for part in pattern.split("/"))
    return re.compile("/".join(segments)).fullmatch


def _belongs(member: Member | None, group: str) -> bool:
    return member is not None and not member.departed and group in ("", member.group)


def _explained(names: Names, hidden: set[str]) -> list[str]:
    """The first names, and of those whose fact is sensitive that this is why."""
    return [f"{name}{HIDDEN}" if name in hidden else name for name in names.first()]


def _put(names: set[str], name: str, inside: bool) -> None:
    if inside:
        names.add(name)
    else:
        names.discard(name)
