"""Tests of one fact: that it exists, or how its value compares.

Sensitive facts are never compared: otherwise any caller who may arm a waiter could find out a value.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from factstore.core.model.condition_parser import check_members, checked, kind_of, refusal
from factstore.core.model.fact import Fact
from factstore.core.model.glob import Glob
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import INTEGER_BOUND, canonical, check_value_depth

VALUES = 100  # of one ``in``
PATTERN_LENGTH = 128
MATCHED_LENGTH = 4096
"""The characters of the longest text that ``match`` compares; so one comparison takes little time."""
_NUMBER_STARTS = frozenset("-0123456789")

Number = int | float

BOUNDS = ("at_least", "at_most", "in", "match")
"""The comparisons beside ``equals``."""


@quick_dataclass(frozen=True, slots=True)
class Test:
    """A test of one fact; without any comparison, the fact only has to exist.

    :param equals: the canonical JSON of the required value.
    :param at_least: the lowest number that passes.
    :param at_most: the highest number that passes.
    :param values: the canonical JSON of the values that pass, sorted; empty for no such comparison.
    :param match: a pattern, see :mod:`factstore.core.model.glob`, for texts that pass.
    """

    equals: str | None = None
    at_least: Number | None = None
    at_most: Number | None = None
    values: tuple[str, ...] = ()
    match: str | None = None

    @property
    def compares(self) -> bool:
        """True if the test needs the fact's value."""
        return (
            self.equals is not None
            or self.at_least is not None
            or self.at_most is not None
            or self.match is not None
            or self.values != ()
        )

    def passes(self, fact: Fact | None) -> bool:
        """Return True if a fact, or None for its absence, passes the test."""
        if fact is None:
            return False
        if self.equals is not None:
            return fact.text == self.equals and not fact.sensitive
        if not self.compares:
            return True
        if fact.sensitive:
            return False
        if self.values:
            at = bisect_left(self.values, fact.text)
            return self.values[at : at + 1] == (fact.text,)
        if self.match is not None:
            text = text_of(fact)
            return text is not None and _glob(self.match).matches(text)
        number = number_of(fact)
        return (
            number is not None
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )

    def is_hidden(self, fact: Fact | None) -> bool:
        """Return True if the test needs the value of a sensitive fact, which is never compared."""
        return fact is not None and fact.sensitive and self.compares

    @property
    def document(self) -> dict[str, Any]:
        """The JSON members of the test."""
        if self.equals is not None:
            return {"equals": json.loads(self.equals)}
        if self.values:
            return {"in": [json.loads(value) for value in self.values]}
        if self.match is not None:
            return {"match": self.match}
        bounds = {"at_least": self.at_least, "at_most": self.at_most}
        found = {name: bound for name, bound in bounds.items() if bound is not None}
        return found or {"present": True}


_glob: Callable[[str], Glob] = lru_cache(256)(Glob)


def number_of(fact: Fact) -> Number | None:
    """Return a fact's number; None if its value is no JSON number, or is sensitive.

    A string that contains digits is a string.
    """
    if fact.sensitive or fact.text[:1] not in _NUMBER_STARTS:
        return None
    number = _parsed(fact)
    if type(number) is int:  # another client of etcd can write any, larger than each float
        return number if abs(number) <= INTEGER_BOUND else None
    return number if type(number) is float and math.isfinite(number) else None


def text_of(fact: Fact) -> str | None:
    """Return a fact's string; None if its value is another, is sensitive or is too long to match."""
    # The canonical text is at most six times as long as the string, and two quotes.
    if fact.sensitive or fact.text[:1] != '"' or len(fact.text) > 6 * MATCHED_LENGTH + 2:
        return None
    text = _parsed(fact)
    return text if isinstance(text, str) and len(text) <= MATCHED_LENGTH else None


def _parsed(fact: Fact) -> Any:
    try:
        return json.loads(fact.text)
    except ValueError:  # another client of etcd wrote it, and it must not stop the watch
        return None


def parse_test(given: Mapping[str, Any], field: str, names: tuple[str, ...]) -> Test:
    """Return the test among the members of an object.

    :param names: the members that can contain a test; the caller has refused all unknown ones.  The
        member ``value`` contains an object of comparisons.
    :raises Invalid: ``condition_invalid``: there is no test, more than one, or an invalid one.
    """
    found = [name for name in names if name in given]
    if not found or (len(found) > 1 and found != ["at_least", "at_most"]):
        has = " and ".join(found) if found else f"none of {', '.join(names)}"
        both = "; only at_least and at_most can be given together" if len(found) > 1 else ""
        raise refusal(field, f"it has {has}; give one of {', '.join(names)}{both}")
    name = found[0]
    position, value = f"{field}.{name}", given[name]
    if name == "present":
        if value is not True:
            raise refusal(position, f"it is {kind_of(value)}; give true or equals")
        return Test()
    if name == "value":
        check_members(value, position, set(BOUNDS))
        return parse_test(value, position, BOUNDS)
    if name == "equals":
        return Test(_value_text(value, position))
    if name == "in":
        if not isinstance(value, list) or not 0 < len(value) <= VALUES:
            found_kind = f"an array of {len(value)}" if value and isinstance(value, list) else None
            raise refusal(
                position,
                f"it is {found_kind or kind_of(value)}; give an array of 1 to {VALUES} values",
            )
        texts = {_value_text(each, f"{position}.{at}") for at, each in enumerate(value)}
        return Test(values=tuple(sorted(texts)))
    if name == "match":
        return Test(match=_pattern(value, position))
    low, high = (read_bound(given, bound, field) for bound in ("at_least", "at_most"))
    if low is not None and high is not None and low > high:
        raise refusal(
            f"{field}.at_most", f"it is {high}, below at_least, {low}; no number can pass both"
        )
    return Test(at_least=low, at_most=high)


def read_bound(given: Mapping[str, Any], name: str, field: str) -> Number | None:
    """Return a number to compare with; None if the member is missing.

    A whole number is an int, so that 1 and 1.0 are the same bound.
    """
    if name not in given:
        return None
    number, position = given[name], f"{field}.{name}"
    if type(number) is float:
        checked(lambda: canonical(number), position)  # neither NaN nor infinite
        return int(number) if number.is_integer() and abs(number) < INTEGER_BOUND else number
    if type(number) is not int or abs(number) > INTEGER_BOUND:  # True is an int to isinstance
        raise refusal(position, f"it is {kind_of(number)}; give a number")
    return number


def _value_text(value: Any, position: str) -> str:
    checked(lambda: check_value_depth(value), position)
    text: str = checked(lambda: canonical(value), position)
    return text


def _pattern(given: Any, position: str) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= PATTERN_LENGTH:
        what = "a longer string" if isinstance(given, str) and given else kind_of(given)
        raise refusal(
            position,
            f"it is {what}; give a pattern of 1 to {PATTERN_LENGTH} characters, in which '*' stands "
            "for any run of characters and '?' for one",
        )
    checked(lambda: canonical(given), position)
    return given
