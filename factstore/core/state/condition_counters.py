"""Counters of what conditions without parts count.

A counter is updated by one change at a time, in time that does not grow with the number of facts, and
reads no state.  It is consistent only at the end of a revision.  Conditions that differ only in the
number that they need have the same counter: :func:`counter_key`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Generic, Protocol, Self, TypeVar

from factstore.core.model.condition import Converged, EveryMember, Facts, Leaf, Signals
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.waiter import Signal

T = TypeVar("T")

PART = 1000  # items, which take a millisecond or so
LISTED = 100
"""The maximum number of names in a progress."""
HIDDEN = " (sensitive)"
"""The suffix of the name of a fact or a member whose value is sensitive and not compared."""


class Names:
    """A sorted set of names; listing the first ones is cheap."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = sorted(names)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __copy__(self) -> Names:
        made = Names()
        made._names = self._names.copy()
        return made

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


class CountedContents(Protocol):
    """The contents of a stack that conditions count, all at one revision."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The facts by path."""

    @property
    def paths(self) -> Sequence[str]:
        """The paths of the facts, in order."""

    @property
    def members(self) -> Mapping[str, Member]:
        """The living members by name."""

    @property
    def lagging(self) -> Collection[str]:
        """The living members that have not applied the revision that they have to apply, by name."""


class InParts(Generic[T]):
    """Items that are read in short parts, each time that they are read.

    :param pause: called before each part.
    """

    def __init__(self, items: Sequence[T], pause: Callable[[], object]) -> None:
        self._items = items
        self._pause = pause

    def __iter__(self) -> Iterator[T]:
        for at in range(0, len(self._items), PART):
            self._pause()
            yield from self._items[at : at + PART]


Found = InParts[tuple[str, Fact]]
"""Facts with their paths, ordered by path."""


class LeafCounter:
    """The interface of all counters; most react to few kinds of change.

    :ivar pattern: of the paths of the facts that are counted; empty if none are.
    :ivar group: of the members that are counted, empty for all; None if none are.
    """

    pattern: str = ""
    group: str | None = None

    def fork(self) -> Self:
        """Return a copy that is updated independently."""
        made = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, set | dict | list | Names):
                setattr(made, name, copy(value))
        return made

    def load(self, view: CountedContents, found: Found) -> None:
        """Count a snapshot.

        :param found: the facts whose paths match the pattern, in order.
        """

    def fact(self, path: str, fact: Fact | None) -> None:
        """Update the fact at a path that matches the pattern; None if it was deleted."""

    def member(self, name: str, member: Member | None, *, lags: bool) -> None:
        """Update a member; None if it is no longer alive."""


class FactsCounter(LeafCounter):
    """The facts of a pattern that pass a test, and the others."""

    def __init__(self, condition: Facts) -> None:
        self.pattern = condition.pattern
        self._test = condition.test
        self.passing, self._others = Names(), Names()
        self._hidden: set[str] = set()

    def load(self, view: CountedContents, found: Found) -> None:
        passes, compares = self._test.passes, self._test.compares
        passing: list[str] = []
        others: list[str] = []
        for path, fact in found:
            (passing if passes(fact) else others).append(path)
            if compares and fact.sensitive:
                self._hidden.add(path)
        self.passing, self._others = Names(passing), Names(others)

    def fact(self, path: str, fact: Fact | None) -> None:
        passes = self._test.passes(fact)
        _put(self._hidden, path, self._test.is_hidden(fact))
        self.passing.put(path, passes)
        self._others.put(path, fact is not None and not passes)

    def others(self) -> list[str]:
        """Return the first paths of facts that do not pass, in order."""
        return _explained(self._others, self._hidden)


class EveryMemberCounter(LeafCounter):
    """The members of a group whose fact passes a test, and the others.

    A fact may exist before its member and after it, so passing facts are recorded even without a
    member.

    :ivar lacking: the members whose fact does not pass.
    """

    def __init__(self, condition: EveryMember) -> None:
        self.pattern, self.group = f"nodes/*/{condition.fact}", condition.group
        self._condition = condition
        self.members: set[str] = set()
        self._passing: set[str] = set()
        self._hidden: set[str] = set()
        self.ready, self.lacking = Names(), Names()

    def load(self, view: CountedContents, found: Found) -> None:
        test = self._condition.test
        self.members = _counted(view, self._condition)
        for path, fact in found:
            if test.passes(fact):
                self._passing.add(member_of(path))
            if test.is_hidden(fact):
                self._hidden.add(member_of(path))
        self.ready = Names(self.members & self._passing)
        self.lacking = Names(self.members - self._passing)

    def fact(self, path: str, fact: Fact | None) -> None:
        name, test = member_of(path), self._condition.test
        _put(self._passing, name, test.passes(fact))
        _put(self._hidden, name, test.is_hidden(fact))
        self._evaluate(name)

    def member(self, name: str, member: Member | None, *, lags: bool) -> None:
        _put(self.members, name, _counts(member, self._condition))
        self._evaluate(name)

    def _evaluate(self, name: str) -> None:
        alive, passes = name in self.members, name in self._passing
        self.ready.put(name, alive and passes)
        self.lacking.put(name, alive and not passes)

    def others(self) -> list[str]:
        """Return the first members whose fact does not pass, in order."""
        return _explained(self.lacking, self._hidden)


class ConvergedCounter(LeafCounter):
    """The members of a group, and those of them that lag."""

    def __init__(self, condition: Converged) -> None:
        self.group = condition.group
        self._condition = condition
        self.members: set[str] = set()
        self.lagging = Names()

    def load(self, view: CountedContents, found: Found) -> None:
        self.members = _counted(view, self._condition)
        self.lagging = Names(self.members.intersection(view.lagging))

    def member(self, name: str, member: Member | None, *, lags: bool) -> None:
        counts = _counts(member, self._condition)
        _put(self.members, name, counts)
        self.lagging.put(name, counts and lags)


class SignalsCounter:
    """The signals of success to one waiter; failures are evaluated by its tracker."""

    def __init__(self) -> None:
        self.successes: set[str] = set()

    def signal(self, key: str, signal: Signal | None) -> None:
        """Update a signal; None if it was deleted."""
        _put(self.successes, key, signal is not None and signal.status == "SUCCESS")


def counter_key(leaf: Leaf) -> Leaf:
    """Return the condition that stands for all conditions with the same counter."""
    match leaf:
        case Facts():
            return replace(leaf, count=1)
        case EveryMember():
            return replace(leaf, at_least=0)
        case Converged() | Signals():
            return leaf
    return replace(leaf, function="count", bound=0, clear=0, is_least=True)


def member_of(path: str) -> str:
    """Return the name of the member below whose folder a path is."""
    return path.split("/", 2)[1]


def _counted(view: CountedContents, condition: EveryMember | Converged) -> set[str]:
    return {name for name, member in view.members.items() if _counts(member, condition)}


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
