"""A naive evaluation of conditions, with which the trackers are compared: it keeps no state."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from factstore.core.model import condition as conditions
from factstore.core.model.comparison import Test as Demand
from factstore.core.model.condition import (
    AllOf,
    AnyOf,
    Condition,
    Converged,
    EveryMember,
)
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member, MemberState
from factstore.core.model.value import canonical
from factstore.core.model.waiter import Signal, SignalStatus
from tests.unit.core.factories import NOW
from tests.unit.core.tracking import Tracked


def member(name: str, group: str = "compute", state: MemberState = "ready") -> Member:
    return Member(name, group, state, "{}", 30, NOW, NOW, "alice", "req-member")


def signal(name: str, status: SignalStatus = "SUCCESS", reason: str = "", at: int = 0) -> Signal:
    return Signal("w", name, status, reason, "null", NOW, "alice", "req-signal", revision=at)


@dataclass
class World:
    """The input of a waiter's conditions, changed by the test."""

    facts: dict[str, Fact] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    lagging: dict[str, bool] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        return sorted(self.facts)

    def change(self, kind: str, name: str, what: Any) -> None:
        table = getattr(self, {"lagging": "lagging"}.get(kind, f"{kind}s"))
        if what in (None, False) or (kind == "member" and what.state == "departed"):
            table.pop(name, None)
        else:
            table[name] = what

    def tell(self, tracker: Tracked, kind: str, name: str, what: Any) -> None:
        """Update a tracker with a change of the world."""
        getattr(tracker, kind)(name, what)


Changed = tuple[str, str, Any]


def passes(world: World, path: str, test: Demand) -> bool:
    found = world.facts.get(path)
    if found is None or test == Demand():
        return found is not None
    if found.sensitive:
        return False
    value = json.loads(found.text)
    match test.document:
        case {"equals": wanted}:
            return canonical(wanted) == found.text
        case {"in": values}:
            return found.text in map(canonical, values)
        case {"match": pattern}:
            return isinstance(value, str) and fnmatchcase(value, pattern)
        case bounds:
            low, high = bounds.get("at_least", -math.inf), bounds.get("at_most", math.inf)
            return type(value) in (int, float) and low <= value <= high


def explained(world: World, path: str, test: Demand) -> str:
    """Return the suffix of a name whose value is not compared."""
    found = world.facts.get(path)
    hidden = found is not None and found.sensitive and test != Demand()
    return " (sensitive)" if hidden else ""


def fits(pattern: str, path: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(w in ("*", p) for w, p in zip(wanted, parts))  # noqa: B905


def counted(world: World, it: EveryMember | Converged) -> list[str]:
    return [
        name
        for name, one in world.members.items()
        if (not it.group or one.group == it.group)
        and (one.state != "draining" or it.include_draining)
    ]


def passing_paths(world: World, it: conditions.Facts) -> set[str]:
    return {p for p in world.facts if fits(it.pattern, p) and passes(world, p, it.test)}


def passing_members(world: World, it: EveryMember) -> set[str]:
    living = counted(world, it)
    return {name for name in living if passes(world, f"nodes/{name}/{it.fact}", it.test)}


def holds(world: World, it: Condition) -> bool:
    match it:
        case conditions.Facts():
            return len(passing_paths(world, it)) >= it.count
        case EveryMember():
            living = counted(world, it)
            return len(living) >= it.at_least and passing_members(world, it) == set(living)
        case Converged():
            living = counted(world, it)
            return bool(living) and not any(name in world.lagging for name in living)
        case conditions.Signals():
            good = [s for s in world.signals.values() if s.status == "SUCCESS"]
            return len(good) >= it.count
        case AllOf(parts):
            return all(holds(world, part) for part in parts)
        case AnyOf(parts):
            return any(holds(world, part) for part in parts)


def far(world: World, it: Condition) -> tuple[int, int, set[str]]:
    """Return the satisfied and the needed number, and the missing names."""
    match it:
        case conditions.Facts():
            good = passing_paths(world, it)
            known = {path for path in world.facts if fits(it.pattern, path)}
            names = {path + explained(world, path, it.test) for path in known - good}
            missing = set() if holds(world, it) else names or {it.pattern}
            return min(len(good), it.count), it.count, missing
        case EveryMember():
            living, good = set(counted(world, it)), passing_members(world, it)
            names = {
                name + explained(world, f"nodes/{name}/{it.fact}", it.test)
                for name in living - good
            }
            return len(good), max(it.at_least, len(living)), names
        case Converged():
            living = set(counted(world, it))
            good = living - world.lagging.keys()
            return len(good), max(1, len(living)), living - good
        case conditions.Signals():
            count = sum(s.status == "SUCCESS" for s in world.signals.values())
            return min(count, it.count), it.count, {"signals"} if count < it.count else set()
        case AllOf(parts):
            each = [far(world, part) for part in parts]
            return (
                sum(e[0] for e in each),
                sum(e[1] for e in each),
                set().union(*(e[2] for e in each)),
            )
        case AnyOf(parts):
            return min((far(world, part) for part in parts), key=lambda e: e[1] - e[0])


def failing_names(world: World, it: Condition | None) -> set[str]:
    """Return the names that cause the failure."""
    match it:
        case conditions.Facts():
            return passing_paths(world, it)
        case EveryMember():
            return passing_members(world, it)
        case AllOf(parts):
            return set().union(*(failing_names(world, part) for part in parts))
        case AnyOf(parts):
            decisive = [part for part in parts if holds(world, part)] or parts
            return set().union(*(failing_names(world, part) for part in decisive))
        case _:
            return set()


def counts_signals(it: Condition) -> bool:
    if isinstance(it, AllOf | AnyOf):
        return any(counts_signals(part) for part in it.conditions)
    return isinstance(it, conditions.Signals)


def bad_signals(world: World, definition: Definition) -> set[str]:
    heard = world.signals.values() if counts_signals(definition.success) else ()
    return {one.id for one in heard if one.status == "FAILURE"}


def naive_verdict(world: World, definition: Definition) -> str | None:
    if bad_signals(world, definition):
        return "failed"
    if definition.failure is not None and holds(world, definition.failure):
        return "failed"
    return "met" if holds(world, definition.success) else None
