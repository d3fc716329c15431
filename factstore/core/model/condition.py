"""The grammar of conditions.

:func:`parse_condition` parses strictly, and an error names the position of the fault.  A waiter's
definition consists of conditions: :mod:`factstore.core.model.definition`.  They are evaluated in
:mod:`factstore.core.state.condition_tracker`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from factstore.core.model.aggregate import Aggregate, parse_aggregate
from factstore.core.model.comparison import BOUNDS, Test, parse_test
from factstore.core.model.condition_parser import (
    check_members,
    kind_of,
    read_boolean,
    read_group,
    read_number,
    read_path,
    refusal,
)
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.waiter import SIGNALS_PER_WAITER

COUNT_MAX = 10_000  # facts, or members
DEPTH = 8  # nested conditions
CONDITIONS_PER_STACK = 512  # without parts, of the pending waiters and the alarms
CONDITIONS_PER_FACT = 64  # different ones with '*' in the pattern that can count the same fact
MATCH_COUNTS_AS = 4  # conditions, because it costs more than other tests


@quick_dataclass(frozen=True, slots=True)
class Facts:
    """At least *count* facts at paths of a pattern pass a test; ``*`` stands for one segment."""

    pattern: str
    test: Test
    count: int = 1


@quick_dataclass(frozen=True, slots=True)
class EveryMember:
    """At least *at_least* members exist, and ``nodes/<member>/<fact>`` of each passes a test.

    :param group: the group of the members; empty for all members.
    :param include_draining: True if draining members count too.
    """

    group: str
    fact: str
    test: Test
    at_least: int = 1
    include_draining: bool = False


@quick_dataclass(frozen=True, slots=True)
class Converged:
    """At least one member exists, and every member has applied the target revision.

    :param group: the group of the members; empty for all members.
    :param include_draining: True if draining members count too.
    """

    group: str = ""
    include_draining: bool = False


@quick_dataclass(frozen=True, slots=True)
class Signals:
    """*count* senders have signalled success, and none has signalled failure."""

    count: int


@quick_dataclass(frozen=True, slots=True)
class AllOf:
    """All parts are met."""

    conditions: tuple[Condition, ...]


@quick_dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part is met."""

    conditions: tuple[Condition, ...]


Leaf = Facts | EveryMember | Converged | Signals | Aggregate
Condition = Leaf | AllOf | AnyOf


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield the conditions without parts, in order."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.conditions:
            yield from leaves(part)
    else:
        yield condition


def condition_document(condition: Condition) -> dict[str, Any]:
    """Return the JSON object of a condition, with its defaults."""
    match condition:
        case Facts(pattern, test, count):
            return {"facts": pattern, "count": count, **test.document}
        case EveryMember(group, fact, test, at_least, draining):
            inner = {"group": group, "fact": fact, "at_least": at_least, **_member_test(test)}
            return {"every_member": inner | _draining_document(draining)}
        case Converged(group, draining):
            return {"converged": {"group": group, **_draining_document(draining)}}
        case Signals(count):
            return {"signals": count}
        case Aggregate():
            return {"aggregate": condition.document}
        case AllOf(parts):
            return {"all": [condition_document(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [condition_document(part) for part in parts]}


def _draining_document(include: bool) -> dict[str, Any]:
    # False is left out, so that the definitions of earlier versions keep their text.
    return {"include_draining": True} if include else {}


def _member_test(test: Test) -> dict[str, Any]:
    # at_least is the number of members here, so comparisons beside equals are in an object.
    plain = test.equals is not None or not test.compares
    return test.document if plain else {"value": test.document}


def parse_condition(
    given: Any, field: str, excluded: Mapping[str, str], depth: int = 1
) -> Condition:
    """Return the condition in a parsed JSON value.

    :param field: its position in the definition.
    :param excluded: the conditions that are not allowed there, each with the reason.
    :raises Invalid: ``condition_invalid``.
    """
    if depth > DEPTH:
        raise refusal(field, f"conditions are nested too deep; at most {DEPTH} levels are allowed")
    if not isinstance(given, dict):
        raise refusal(field, f"it is {kind_of(given)}; give {A_CONDITION}")
    names = [name for name in _NAMES if name in given]
    if len(names) != 1:
        found = f"it has {' and '.join(names)}" if names else "it has none of the names"
        raise refusal(field, f"{found}; give {A_CONDITION}")
    (name,) = names
    if name == "facts":
        return _facts(given, field)
    check_members(given, field, {name})
    position = f"{field}.{name}"
    if name in ("all", "any"):
        parts = given[name]
        if not isinstance(parts, list) or not parts:
            raise refusal(
                position, f"it is {kind_of(parts)}; give an array of at least one condition"
            )
        make = AllOf if name == "all" else AnyOf
        return make(
            tuple(
                parse_condition(part, f"{position}.{at}", excluded, depth + 1)
                for at, part in enumerate(parts)
            )
        )
    if name == "every_member":
        return _every_member(given[name], position)
    if name in excluded:
        raise refusal(position, excluded[name])
    if name == "aggregate":
        return parse_aggregate(given[name], position)
    if name == "signals":
        return Signals(read_number(given, name, field, 1, SIGNALS_PER_WAITER))
    return _converged(given[name], position)


def _facts(given: Any, field: str) -> Facts:
    check_members(given, field, {"facts", "count", *_FACTS_TESTS})
    pattern = read_path(given, "facts", field, stars=True)
    count = read_number(given, "count", field, 1, COUNT_MAX, 1)
    if count > 1 and "*" not in pattern:
        raise refusal(
            f"{field}.count",
            f"it is {count}, but {quoted(pattern)} is the path of one fact; "
            "give 1, or a pattern with '*'",
        )
    return Facts(pattern, parse_test(given, field, _FACTS_TESTS), count)


def _every_member(given: Any, field: str) -> EveryMember:
    check_members(given, field, {"group", "fact", "at_least", "include_draining", *_MEMBER_TESTS})
    path = read_path(given, "fact", field, below="nodes/<member>/")
    at_least = read_number(given, "at_least", field, 0, COUNT_MAX, 1)
    group, draining = read_group(given, field), read_boolean(given, "include_draining", field)
    test = parse_test(given, field, _MEMBER_TESTS)
    return EveryMember(group, path, test, at_least, draining)


def _converged(given: Any, field: str) -> Converged:
    check_members(given, field, {"group", "include_draining"})
    return Converged(read_group(given, field), read_boolean(given, "include_draining", field))


_FACTS_TESTS = ("equals", "present", *BOUNDS)
_MEMBER_TESTS = ("equals", "present", "value")
_NAMES = ("facts", "every_member", "converged", "signals", "aggregate", "all", "any")
A_CONDITION = f"an object with exactly one of {', '.join(_NAMES)}"
NOT_IN_SUCCESS = {
    "aggregate": "an aggregate goes up and down, and a waiter ends once; use it in an alarm",
}
NOT_IN_FAILURE = NOT_IN_SUCCESS | {
    "converged": "convergence cannot be a failure condition; use it in success",
    "signals": "signals cannot be a failure condition; use it in success, where any signalled "
    "failure fails the waiter",
}
NOT_IN_ALARM = {"signals": "signals are sent to waiters; an alarm has none"}
