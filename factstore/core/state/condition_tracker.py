"""Whether what a waiter waits for holds: the one evaluation.

A :class:`Tracker` is built from a snapshot and then told of each change, and says the same as one
that is built anew: its cost is that of the definition, not that of the stack.  Failure is judged
first.  Changes of one revision may come in any order; ask only at a revision's end.  It knows
nothing of time, nor of who writes down what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal, Protocol

from factstore.core.model.condition import AllOf, AnyOf, Condition, Definition, Signals, leaves
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.waiter import Progress, Signal
from factstore.core.state.condition_counters import LISTED, LeafCounter, tally_of

Verdict = Literal["met", "failed"] | None

NAMED = 5  # in a sentence


class View(Protocol):
    """What a waiter's verdict depends on, all at one revision."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """All facts by path."""

    @property
    def members(self) -> Mapping[str, Member]:
        """The members that live, by name; none that departed."""

    @property
    def applied(self) -> Mapping[str, int]:
        """Up to which revision each has applied the facts, by name."""

    @property
    def target(self) -> int:
        """The newest revision that must be applied."""

    @property
    def signals(self) -> Mapping[str, Signal]:
        """What this waiter was signalled, by the names of the signals' places."""


class _Part(Protocol):
    """A condition, as far as it has come; a tally is one."""

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
        """Of the parts that hold; while none does, of all."""
        whole = [part for part in self._parts if _left(part) == 0]
        return _merged(part.holding() for part in whole or self._parts)

    def _nearest(self) -> _Part:
        return min(self._parts, key=_left)  # the first of equals


class Tracker:
    """One waiter's definition against a stack that changes."""

    def __init__(self, definition: Definition) -> None:
        self._tallies: list[LeafCounter] = []
        self._success = self._part(definition.success)
        self._failure = None if definition.failure is None else self._part(definition.failure)
        self._signalled = any(isinstance(leaf, Signals) for leaf in leaves(definition.success))
        self._refused: dict[str, Signal] = {}

    @classmethod
    def of(cls, definition: Definition, view: View) -> Tracker:
        """A tracker that knows all of a snapshot."""
        made = cls(definition)
        for tally in made._tallies:
            for path in tally.concerned(view.facts.keys()):
                tally.fact(path, view.facts[path])
        made.target(view.target)
        for name, member in view.members.items():
            made.member(name, member)
        for name, seen in view.applied.items():
            made.applied(name, seen)
        for key, signal in view.signals.items():
            made.signal(key, signal)
        return made

    def fact(self, path: str, fact: Fact | None) -> None:
        """There is a new fact at a path, or none any more."""
        for tally in self._tallies:
            tally.fact(path, fact)

    def member(self, name: str, member: Member | None) -> None:
        """A member has changed, or does not live any more."""
        for tally in self._tallies:
            tally.member(name, member)

    def applied(self, name: str, seen: int | None) -> None:
        """A member has applied the facts up to a revision, or nobody knows of it any more."""
        for tally in self._tallies:
            tally.applied(name, seen)

    def target(self, revision: int) -> None:
        """There is something new to apply."""
        for tally in self._tallies:
            tally.target(revision)

    def signal(self, key: str, signal: Signal | None) -> None:
        """A signal has come, been replaced, or gone; heard by a waiter that counts signals."""
        if not self._signalled:
            return
        self._refused.pop(key, None)
        if signal is not None and signal.status == "FAILURE":
            self._refused[key] = signal
        for tally in self._tallies:
            tally.signal(key, signal)

    def verdict(self) -> Verdict:
        """What holds at this revision; failure beats success."""
        if self._refused or (self._failure is not None and _left(self._failure) == 0):
            return "failed"
        return "met" if _left(self._success) == 0 else None

    def progress(self) -> Progress:
        """How far success has come, and what counts towards failure, be it enough or not."""
        satisfied, needed = self._success.score()
        failing = [] if self._failure is None else self._failure.holding()
        refused = (signal.id for signal in self._refused.values())
        return Progress(
            satisfied,
            needed,
            tuple(self._success.missing()),
            tuple(_merged([failing, refused])),
        )

    def reason(self) -> str:
        """One sentence on the verdict; without one, on what was missing when the time was over."""
        if self._refused:
            first = min(self._refused.values(), key=lambda signal: (signal.revision, signal.id))
            return f"signal {first.id} failed" + (f": {first.reason}" if first.reason else "")
        satisfied, needed = self._success.score()
        match self.verdict():
            case "failed":
                failing = self.progress().failing
                return "the failure condition holds" + _listed(": ", failing)
            case "met":
                return f"the success condition holds: {satisfied} of {needed}"
            case None:
                missing = self._success.missing()
                return f"the time is over with {satisfied} of {needed}" + _listed(
                    "; missing: ", missing
                )

    def _part(self, condition: Condition) -> _Part:
        match condition:
            case AllOf(conditions):
                return _All([self._part(part) for part in conditions])
            case AnyOf(conditions):
                return _Any([self._part(part) for part in conditions])
        tally = tally_of(condition)
        self._tallies.append(tally)
        return tally


def evaluate(definition: Definition, view: View) -> tuple[Verdict, Progress]:
    """What a definition means at one revision: a pure function."""
    tracker = Tracker.of(definition, view)
    return tracker.verdict(), tracker.progress()


def _left(part: _Part) -> int:
    satisfied, needed = part.score()
    return needed - satisfied


def _merged(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(names)))[:LISTED]


def _listed(before: str, names: Sequence[str]) -> str:
    more = " and others" if len(names) > NAMED else ""
    return f"{before}{', '.join(names[:NAMED])}{more}" if names else ""
