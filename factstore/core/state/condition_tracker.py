"""The evaluation of a waiter's conditions.

A :class:`Tracker` combines the counters of its conditions without parts, which are updated with each
change: :mod:`factstore.core.state.stack_conditions`.  Failure has precedence over success.  Changes of
one revision may arrive in any order; read the verdict only at the end of a revision.  Timeouts, and
writing the outcome, are left to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal, Protocol

from factstore.core.model.condition import (
    AllOf,
    AnyOf,
    Condition,
    Converged,
    EveryMember,
    Facts,
    Leaf,
    Signals,
    leaves,
)
from factstore.core.model.definition import Definition
from factstore.core.model.waiter import Progress, Signal
from factstore.core.state.condition_counters import (
    LISTED,
    ConvergedCounter,
    EveryMemberCounter,
    FactsCounter,
    LeafCounter,
    SignalsCounter,
)

Verdict = Literal["met", "failed"] | None
Counters = Mapping[Leaf, LeafCounter]
"""The counters of conditions without parts."""

NAMED = 5  # names in a reason


class Part(Protocol):
    """A condition with its progress.

    ``score`` returns the count and the number needed, which the count never exceeds; ``missing`` the
    first names of the unmet parts, in order, empty if the condition is met; ``holding`` the first names
    of the met parts, in order.
    """

    def score(self) -> tuple[int, int]: ...
    def missing(self) -> list[str]: ...
    def holding(self) -> list[str]: ...


class _Facts:
    def __init__(self, condition: Facts, counter: FactsCounter) -> None:
        self._condition = condition
        self._counter = counter

    def score(self) -> tuple[int, int]:
        count = self._condition.count
        return min(len(self._counter.passing), count), count

    def missing(self) -> list[str]:
        if len(self._counter.passing) >= self._condition.count:
            return []
        # Without a star a fact that does not pass has the pattern's own path.
        return self._counter.others() or [self._condition.pattern]

    def holding(self) -> list[str]:
        return self._counter.passing.first()


class _EveryMember:
    def __init__(self, condition: EveryMember, counter: EveryMemberCounter) -> None:
        self._at_least = condition.at_least
        self._counter = counter

    def score(self) -> tuple[int, int]:
        counter = self._counter
        return len(counter.ready), max(len(counter.members), self._at_least)

    def missing(self) -> list[str]:
        return self._counter.others()

    def holding(self) -> list[str]:
        return self._counter.ready.first()


class _Converged:
    def __init__(self, counter: ConvergedCounter) -> None:
        self._counter = counter

    def score(self) -> tuple[int, int]:
        members = len(self._counter.members)
        return members - len(self._counter.lagging), max(members, 1)

    def missing(self) -> list[str]:
        return self._counter.lagging.first()

    def holding(self) -> list[str]:
        return []


class _Signals:
    def __init__(self, condition: Signals, counter: SignalsCounter) -> None:
        self._count = condition.count
        self._counter = counter

    def score(self) -> tuple[int, int]:
        return min(len(self._counter.successes), self._count), self._count

    def missing(self) -> list[str]:
        return ["signals"] if len(self._counter.successes) < self._count else []

    def holding(self) -> list[str]:
        return []


class _All:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def score(self) -> tuple[int, int]:
        satisfied, needed = zip(*(part.score() for part in self._parts), strict=True)
        return sum(satisfied), sum(needed)

    def missing(self) -> list[str]:
        return _merged(part.missing() for part in self._parts)

    def holding(self) -> list[str]:
        return _merged(part.holding() for part in self._parts)


class _Any:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def score(self) -> tuple[int, int]:
        return self._nearest().score()

    def missing(self) -> list[str]:
        return self._nearest().missing()

    def holding(self) -> list[str]:
        """Return the names of the parts that are met; if none is, of all parts."""
        met = [part for part in self._parts if _remaining(part) == 0]
        return _merged(part.holding() for part in met or self._parts)

    def _nearest(self) -> Part:
        return min(self._parts, key=_remaining)  # the first of equals


class Tracker:
    """The evaluation of one waiter's definition on a changing stack.

    :ivar counters: of the conditions without parts.
    """

    def __init__(self, definition: Definition, counters: Counters) -> None:
        self.definition = definition
        self.counters = counters
        self._signals = SignalsCounter()
        self._success = self._part(definition.success)
        self._failure = None if definition.failure is None else self._part(definition.failure)
        self._counts_signals = any(isinstance(leaf, Signals) for leaf in leaves(definition.success))
        self._failed_signals: dict[str, Signal] = {}

    def signal(self, key: str, signal: Signal | None) -> None:
        """Update a signal; None if it was deleted.  Only a waiter that counts signals reads it."""
        if not self._counts_signals:
            return
        self._failed_signals.pop(key, None)
        if signal is not None and signal.status == "FAILURE":
            self._failed_signals[key] = signal
        self._signals.signal(key, signal)

    def verdict(self) -> Verdict:
        """Return the verdict at this revision, None if undecided; failure precedes success."""
        if self._failed_signals or (self._failure is not None and _remaining(self._failure) == 0):
            return "failed"
        return "met" if _remaining(self._success) == 0 else None

    def progress(self) -> Progress:
        """Return the progress of success, and the causes of failure even if they do not suffice."""
        satisfied, needed = self._success.score()
        failing = [] if self._failure is None else self._failure.holding()
        failed_signals = (signal.id for signal in self._failed_signals.values())
        return Progress(
            satisfied,
            needed,
            tuple(self._success.missing()),
            tuple(_merged([failing, failed_signals])),
        )

    def reason(self) -> str:
        """Return the reason for the verdict, or without a verdict, for the timeout."""
        if self._failed_signals:
            first = min(
                self._failed_signals.values(), key=lambda signal: (signal.revision, signal.id)
            )
            return f"signal {first.id} failed" + (f": {first.reason}" if first.reason else "")
        satisfied, needed = self._success.score()
        match self.verdict():
            case "failed":
                failing = self.progress().failing
                return "the failure condition is met" + _listed(": ", failing)
            case "met":
                return f"the success condition is met: {satisfied} of {needed}"
            case None:
                missing = self._success.missing()
                return f"timed out with {satisfied} of {needed}" + _listed("; missing: ", missing)

    def satisfied(self) -> int:
        """Return the count of the progress."""
        return self._success.score()[0]

    @property
    def successful_signals(self) -> int:
        """The number of senders that have signalled success."""
        return len(self._signals.successes)

    def _part(self, condition: Condition) -> Part:
        match condition:
            case AllOf(conditions):
                return _All([self._part(part) for part in conditions])
            case AnyOf(conditions):
                return _Any([self._part(part) for part in conditions])
            case Signals():
                return _Signals(condition, self._signals)
        part = part_of(condition, self.counters[condition])
        if part is None:
            raise AssertionError("a waiter's definition contains an aggregate")
        return part


def part_of(leaf: Leaf, counter: LeafCounter) -> Part | None:
    """Return a condition without parts on its counter; None for an aggregate."""
    match leaf, counter:
        case Facts(), FactsCounter():
            return _Facts(leaf, counter)
        case EveryMember(), EveryMemberCounter():
            return _EveryMember(leaf, counter)
        case Converged(), ConvergedCounter():
            return _Converged(counter)
    return None


def _remaining(part: Part) -> int:
    satisfied, needed = part.score()
    return needed - satisfied


def _merged(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(names)))[:LISTED]


def _listed(before: str, names: Sequence[str]) -> str:
    more = " and others" if len(names) > NAMED else ""
    return f"{before}{', '.join(names[:NAMED])}{more}" if names else ""
