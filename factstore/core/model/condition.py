"""What a waiter waits for: the grammar of conditions.

:meth:`Definition.of` reads one strictly.  Two definitions that mean the same in the same order have
the same :attr:`Definition.text`, whether their defaults were written out or not.  What can never be
right is refused with its place.  This module knows nothing of whether a condition holds: see
:mod:`factstore.core.state.condition_tracker`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from factstore.core.model.condition_parser import (
    check_members,
    checked,
    kind_of,
    read_group,
    read_number,
    read_path,
    refusal,
)
from factstore.core.model.fact import Fact
from factstore.core.model.path import quoted
from factstore.core.model.value import canonical, check_value_depth, encode
from factstore.core.model.waiter import (
    SIGNALS_PER_WAITER,
    TIMEOUT_DEFAULT,
    TIMEOUT_MAX,
    TIMEOUT_MIN,
)

COUNT_MAX = 10_000  # facts, or members
DEPTH = 8  # conditions in one another
LEAVES = 16  # conditions without parts, of success and failure together
DEFINITION_BYTES = 16 * 1024  # of canonical JSON


@dataclass(frozen=True, slots=True)
class Test:
    """What is demanded of one fact.

    :param equals: the canonical JSON of the value it must have; None demands only that it exists.
    """

    equals: str | None = None

    def passes(self, fact: Fact | None) -> bool:
        """Whether a fact, or None for its absence, is what is demanded.

        A sensitive fact equals nothing: whoever may arm a waiter could find out its value else.
        """
        return fact is not None and (
            self.equals is None or (fact.text == self.equals and not fact.sensitive)
        )

    def cannot_tell(self, fact: Fact | None) -> bool:
        """Whether a fact is tested by a value that nobody is told."""
        return self.equals is not None and fact is not None and fact.sensitive


@dataclass(frozen=True, slots=True)
class Facts:
    """At least *count* facts at paths of a pattern pass a test; ``*`` stands for one segment."""

    pattern: str
    test: Test
    count: int = 1


@dataclass(frozen=True, slots=True)
class EveryMember:
    """There are *at_least* members, and ``nodes/<member>/<fact>`` of each passes a test.

    :param group: whose members; empty for all.
    """

    group: str
    fact: str
    test: Test
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Converged:
    """There are members, and each has applied all that there is to apply.

    :param group: whose members; empty for all.
    """

    group: str = ""


@dataclass(frozen=True, slots=True)
class Signals:
    """So many have signalled success, and nobody failure."""

    count: int


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part holds."""

    conditions: tuple[Condition, ...]


Leaf = Facts | EveryMember | Converged | Signals
Condition = Leaf | AllOf | AnyOf


def leaves(condition: Condition) -> Iterator[Leaf]:
    """The conditions without parts that a condition is made of, in order."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.conditions:
            yield from leaves(part)
    else:
        yield condition


@dataclass(frozen=True, slots=True)
class Definition:
    """What makes a waiter met, what makes it failed, and for how long it waits.

    :param timeout: seconds.
    :param extend_on_progress: whether progress starts the timeout anew.
    """

    success: Condition
    failure: Condition | None = None
    timeout: int = TIMEOUT_DEFAULT
    extend_on_progress: bool = False

    @classmethod
    def of(cls, document: Any) -> Definition:
        """Read a parsed JSON document.

        :raises Invalid: ``condition_invalid``, with the place in ``extra['field']``, which is empty
            for the document as a whole.
        """
        check_members(document, "", {"success", "failure", "timeout", "extend_on_progress"})
        if "success" not in document:
            raise refusal("success", f"it is missing; give {_A_CONDITION}")
        failure = document.get("failure")
        extend = document.get("extend_on_progress", False)
        if not isinstance(extend, bool):
            raise refusal("extend_on_progress", f"it is {kind_of(extend)}; give true or false")
        made = cls(
            _condition(document["success"], "success"),
            None if failure is None else _condition(failure, "failure", fails=True),
            read_number(document, "timeout", "", TIMEOUT_MIN, TIMEOUT_MAX, TIMEOUT_DEFAULT),
            extend,
        )
        made._check_size()
        return made

    @classmethod
    def parse(cls, text: str) -> Definition:
        """Read back a :attr:`text`."""
        return cls.of(json.loads(text))

    @property
    def text(self) -> str:
        """Canonical JSON with all defaults written out."""
        return encode(
            {
                "success": _document(self.success),
                "failure": None if self.failure is None else _document(self.failure),
                "timeout": self.timeout,
                "extend_on_progress": self.extend_on_progress,
            }
        )

    def _check_size(self) -> None:
        parts = (self.success, self.failure) if self.failure else (self.success,)
        held = sum(1 for part in parts for _ in leaves(part))
        if held > LEAVES:
            raise refusal(
                "",
                f"success and failure hold {held} conditions, not counting all and any; "
                f"at most {LEAVES} are allowed",
            )
        size = len(self.text.encode())
        if size > DEFINITION_BYTES:
            raise refusal(
                "", f"it is {size} bytes as canonical JSON; at most {DEFINITION_BYTES} are allowed"
            )


def _document(condition: Condition) -> dict[str, Any]:
    """The JSON object that says a condition, with its defaults."""
    match condition:
        case Facts(pattern, test, count):
            return {"facts": pattern, "count": count, **_demand(test)}
        case EveryMember(group, fact, test, at_least):
            inner = {"group": group, "fact": fact, "at_least": at_least, **_demand(test)}
            return {"every_member": inner}
        case Converged(group):
            return {"converged": {"group": group}}
        case Signals(count):
            return {"signals": count}
        case AllOf(parts):
            return {"all": [_document(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [_document(part) for part in parts]}


def _demand(test: Test) -> dict[str, Any]:
    return {"present": True} if test.equals is None else {"equals": json.loads(test.equals)}


def _condition(given: Any, field: str, *, fails: bool = False, depth: int = 1) -> Condition:
    """Read one condition.

    :param fails: whether it is one of failure.
    """
    if depth > DEPTH:
        raise refusal(field, f"it is nested too deep; at most {DEPTH} conditions in one another")
    if not isinstance(given, dict):
        raise refusal(field, f"it is {kind_of(given)}; give {_A_CONDITION}")
    names = [name for name in _NAMES if name in given]
    if len(names) != 1:
        found = f"it has {' and '.join(names)}" if names else "it has none of the names"
        raise refusal(field, f"{found}; give {_A_CONDITION}")
    (name,) = names
    if name == "facts":
        return _facts(given, field)
    check_members(given, field, {name})
    place = f"{field}.{name}"
    if name in ("all", "any"):
        parts = given[name]
        if not isinstance(parts, list) or not parts:
            raise refusal(place, f"it is {kind_of(parts)}; give an array of conditions, not empty")
        make = AllOf if name == "all" else AnyOf
        return make(
            tuple(
                _condition(part, f"{place}.{at}", fails=fails, depth=depth + 1)
                for at, part in enumerate(parts)
            )
        )
    if name == "every_member":
        return _every_member(given[name], place)
    if fails:
        raise refusal(place, _NOT_IN_FAILURE[name])
    if name == "signals":
        return Signals(read_number(given, name, field, 1, SIGNALS_PER_WAITER))
    check_members(given[name], place, {"group"})
    return Converged(read_group(given[name], place))


def _facts(given: Any, field: str) -> Facts:
    check_members(given, field, {"facts", "equals", "present", "count"})
    pattern = read_path(given, "facts", field, stars=True)
    count = read_number(given, "count", field, 1, COUNT_MAX, 1)
    if count > 1 and "*" not in pattern:
        raise refusal(
            f"{field}.count",
            f"it is {count}, but {quoted(pattern)} is the path of one fact; "
            "give 1, or a pattern with '*'",
        )
    return Facts(pattern, _test(given, field), count)


def _every_member(given: Any, field: str) -> EveryMember:
    check_members(given, field, {"group", "fact", "equals", "present", "at_least"})
    path = read_path(given, "fact", field, below="nodes/<member>/")
    at_least = read_number(given, "at_least", field, 0, COUNT_MAX, 1)
    return EveryMember(read_group(given, field), path, _test(given, field), at_least)


def _test(given: dict[str, Any], field: str) -> Test:
    if ("equals" in given) == ("present" in given):
        found = "both equals and present" if "equals" in given else "neither equals nor present"
        raise refusal(field, f'it has {found}; give either "equals": a value, or "present": true')
    if "equals" in given:
        value = given["equals"]
        checked(lambda: check_value_depth(value), f"{field}.equals")
        return Test(checked(lambda: canonical(value), f"{field}.equals"))
    if given["present"] is not True:
        raise refusal(f"{field}.present", f"it is {kind_of(given['present'])}; give true or equals")
    return Test()


_NAMES = ("facts", "every_member", "converged", "signals", "all", "any")
_A_CONDITION = f"an object with exactly one of {', '.join(_NAMES)}"
_NOT_IN_FAILURE = {
    "converged": "that all have converged is no failure; it may stand in success only",
    "signals": "a failure signalled fails a waiter with signals in success anyway; "
    "it may stand in success only",
}
