"""The evaluation of a waiter's conditions.

A :class:`Tracker` is built from a snapshot and then updated with each change; the result is the same
as that of a new tracker, but the cost does not grow with the stack.  Failure has precedence over
success.  Changes of one revision may arrive in any order; read the verdict only at the end of a
revision.  Timeouts, and writing the outcome, are left to others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal, Protocol

from factstore.core.model.aggregate import Aggregate
from factstore.core.model.condition import AllOf, AnyOf, Condition, Signals, leaves
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.waiter import Progress, Signal
from factstore.core.state.condition_counters import LISTED, LeafCounter, counter_of

Verdict = Literal["met", "failed"] | None

NAMED = 5  # names in a reason


class View(Protocol):
    """The input of a waiter's verdict, all at one revision."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The facts by path."""

    @property
    def members(self) -> Mapping[str, Member]:
        """The living members by name."""

    @property
    def lagging(self) -> Collection[str]:
        """The living members that have not applied the revision that they have to apply, by name."""

    @property
    def signals(self) -> Mapping[str, Signal]:
        """The signals to this waiter, by the names of their records."""


class _Part(Protocol):
    """A condition with its progress: a counter, or a combination of parts."""

    def score(self) -> tuple[int, int]: ...
    def missing(self) -> list[str]: ...
    def holding(self) -> list[str]: ...


class _All:
    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def score(self) -> tuple[int, int]:
        satisfied, needed = zip(*(part.score() for part in self._parts), strict=True)
        return sum(satisfied), sum(needed)

    def missing(self) -> list[str]:
        return _merged(part.missing() for part in self._parts)

    def holding(self) -> list[str]:
        return _merged(part.holding() for part in self._parts)


class _Any:
    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def score(self) -> tuple[int, int]:
        return self._nearest().score()

    def missing(self) -> list[str]:
        return self._nearest().missing()

    def holding(self) -> list[str]:
        """Return the names of the parts that are met; if none is, of all parts."""
        met = [part for part in self._parts if _remaining(part) == 0]
        return _merged(part.holding() for part in met or self._parts)

    def _nearest(self) -> _Part:
        return min(self._parts, key=_remaining)  # the first of equals


class CountingTracker:
    """The counters of some conditions on a changing stack."""

    def __init__(self) -> None:
        self._counters: list[LeafCounter] = []

    def load(self, view: View) -> None:
        """Count what is in a snapshot."""
        for counter in self._counters:
            for path in counter.concerned(view.facts.keys()):
                counter.fact(path, view.facts[path])
        for name, member in view.members.items():
            self.member(name, member)
        for name in view.lagging:
            self.lagging(name, True)

    def fact(self, path: str, fact: Fact | None) -> None:
        """Update the fact at a path; None if it was deleted."""
        for counter in self._counters:
            counter.fact(path, fact)

    def member(self, name: str, member: Member | None) -> None:
        """Update a member; None if it is no longer alive."""
        for counter in self._counters:
            counter.member(name, member)

    def lagging(self, name: str, lags: bool) -> None:
        """Update whether a member lags."""
        for counter in self._counters:
            counter.lagging(name, lags)


class Tracker(CountingTracker):
    """The evaluation of one waiter's definition on a changing stack."""

    def __init__(self, definition: Definition) -> None:
        super().__init__()
        self._success = self._part(definition.success)
        self._failure = None if definition.failure is None else self._part(definition.failure)
        self._counts_signals = any(isinstance(leaf, Signals) for leaf in leaves(definition.success))
        self._failed_signals: dict[str, Signal] = {}

    @classmethod
    def of(cls, definition: Definition, view: View) -> Tracker:
        """Return a tracker of the definition on a snapshot."""
        tracker = cls(definition)
        tracker.load(view)
        for key, signal in view.signals.items():
            tracker.signal(key, signal)
        return tracker

    def signal(self, key: str, signal: Signal | None) -> None:
        """Update a signal; None if it was deleted.  Only a waiter that counts signals reads it."""
        if not self._counts_signals:
            return
        self._failed_signals.pop(key, None)
        if signal is not None and signal.status == "FAILURE":
            self._failed_signals[key] = signal
        for counter in self._counters:
            counter.signal(key, signal)

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

    def _part(self, condition: Condition) -> _Part:
        match condition:
            case AllOf(conditions):
                return _All([self._part(part) for part in conditions])
            case AnyOf(conditions):
                return _Any([self._part(part) for part in conditions])
            case Aggregate():
                raise AssertionError("a waiter's definition contains an aggregate")
        counter = counter_of(condition)
        self._counters.append(counter)
        return counter


def evaluate(definition: Definition, view: View) -> tuple[Verdict, Progress]:
    """Return the verdict and the progress of a definition on a snapshot."""
    tracker = Tracker.of(definition, view)
    return tracker.verdict(), tracker.progress()


def _remaining(part: _Part) -> int:
    satisfied, needed = part.score()
    return needed - satisfied


def _merged(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(names)))[:LISTED]


def _listed(before: str, names: Sequence[str]) -> str:
    more = " and others" if len(names) > NAMED else ""
    return f"{before}{', '.join(names[:NAMED])}{more}" if names else ""
