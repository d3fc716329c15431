"""The aggregate of many numbers, compared with a number.

Only an alarm has it: the comparison depends on whether the alarm is raised (*clear*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from factstore.core.model.comparison import Number, read_bound
from factstore.core.model.condition_parser import (
    check_members,
    kind_of,
    read_boolean,
    read_group,
    read_path,
    refusal,
)
from factstore.core.model.quick_dataclass import quick_dataclass

Function = Literal["avg", "max", "min", "sum", "count"]
FUNCTIONS: tuple[Function, ...] = get_args(Function)


@quick_dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate of facts that is at least, or at most, a number.

    :param facts: the pattern of the facts' paths; empty if they are facts of members.
    :param fact: the path of a fact of each member, below its folder; empty without members.
    :param folder: ``nodes`` or ``results``, which contains the members' folders.
    :param bound: the number that raises the alarm.
    :param clear: the number beyond which a raised alarm is cleared.
    :param is_least: True if the aggregate has to be at least the bound, False if at most.
    :param group: the group of the members; empty for all members.
    :param include_draining: True if draining members count too.
    """

    function: Function
    facts: str
    fact: str
    bound: Number
    clear: Number
    is_least: bool
    folder: Literal["nodes", "results"] = "nodes"
    group: str = ""
    include_draining: bool = False

    @property
    def pattern(self) -> str:
        """The pattern of the facts' paths."""
        return self.facts or f"{self.folder}/*/{self.fact}"

    def is_met(self, value: Number, *, raised: bool) -> bool:
        """Return True if a value raises the alarm or, if it is raised, does not clear it."""
        bound = self.clear if raised else self.bound
        return value >= bound if self.is_least else value <= bound

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object, with its defaults."""
        document: dict[str, Any] = {"function": self.function}
        if self.facts:
            document["facts"] = self.facts
        else:
            name = "fact" if self.folder == "nodes" else "result"
            document |= {name: self.fact, "group": self.group}
            document |= {"include_draining": True} if self.include_draining else {}
        document["at_least" if self.is_least else "at_most"] = self.bound
        return document | {"clear": self.clear}


def parse_aggregate(given: Any, field: str) -> Aggregate:
    """Return the aggregate in a parsed JSON value.

    :raises Invalid: ``condition_invalid``.
    """
    of_facts = {"function", "facts", "at_least", "at_most", "clear"}
    of_members = of_facts - {"facts"} | {"fact", "result", "group", "include_draining"}
    check_members(given, field, of_facts | of_members)
    found = [name for name in ("facts", "fact", "result") if name in given]
    if len(found) != 1:
        has = " and ".join(found) if found else "none of facts, fact and result"
        raise refusal(
            field,
            f'it has {has}; give "facts": a pattern, or "fact" or "result": a path below '
            "nodes/<member>/ or results/<member>/",
        )
    check_members(given, field, of_facts if found == ["facts"] else of_members)
    function = given.get("function")
    if function not in FUNCTIONS:
        what = kind_of(function) if "function" in given else "missing"
        raise refusal(f"{field}.function", f"it is {what}; give one of {', '.join(FUNCTIONS)}")
    facts, fact = "", ""
    folder: Literal["nodes", "results"] = "results" if "result" in given else "nodes"
    if "facts" in given:
        facts = read_path(given, "facts", field, stars=True)
    else:
        fact = read_path(given, found[0], field, below=f"{folder}/<member>/")
    bound, clear, is_least = _bounds(given, field)
    return Aggregate(
        function,
        facts,
        fact,
        bound,
        clear,
        is_least,
        folder,
        "" if facts else read_group(given, field),
        False if facts else read_boolean(given, "include_draining", field),
    )


def _bounds(given: Mapping[str, Any], field: str) -> tuple[Number, Number, bool]:
    low, high = read_bound(given, "at_least", field), read_bound(given, "at_most", field)
    if low is not None and high is not None:
        raise refusal(field, "it has at_least and at_most; give one of them")
    bound = high if low is None else low
    if bound is None:
        raise refusal(field, "it has neither at_least nor at_most; give one of them, a number")
    is_least = low is not None
    clear = read_bound(given, "clear", field)
    if clear is None:
        return bound, bound, is_least
    if clear > bound if is_least else clear < bound:
        other, name = ("above", "at_least") if is_least else ("below", "at_most")
        raise refusal(
            f"{field}.clear",
            f"it is {clear}, {other} {name}, {bound}; a raised alarm would be cleared at once",
        )
    return bound, clear, is_least
