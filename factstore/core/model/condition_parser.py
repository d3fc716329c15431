"""Strict parsers for the parts of a condition's document.

An error has the code ``condition_invalid`` and the position in ``extra['field']``: names and indexes
joined by dots, as in ``success.all.1.facts``.  The conditions themselves are in
:mod:`factstore.core.model.condition`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from factstore.core.errors import Invalid, TooLarge
from factstore.core.model.path import GRAMMAR, SEGMENT_LENGTH, SEGMENT_PATTERN, check_path, quoted
from factstore.core.model.value import encode

_SEGMENT = re.compile(SEGMENT_PATTERN)


def read_group(given: dict[str, Any], field: str) -> str:
    """Return the name of the group; empty for all members."""
    group = given.get("group", "")
    if not isinstance(group, str):
        raise refusal(f"{field}.group", f"it is {kind_of(group)}; give a group's name as a string")
    if group and not _SEGMENT.fullmatch(group):
        raise refusal(
            f"{field}.group",
            f"{quoted(group)} is not valid: a group's name is 1 to {SEGMENT_LENGTH} characters, begins "
            "with a letter, a digit or '_' and continues with letters, digits and '_.:@-'; "
            "leave it out for all members",
        )
    return group


def read_path(
    given: dict[str, Any], name: str, field: str, *, below: str = "", stars: bool = False
) -> str:
    """Return the path of a fact.

    :param below: the folder that the path is relative to, with ``<member>`` for a member's name.
    :param stars: True if whole segments may be ``*``.
    """
    path, position = given.get(name), f"{field}.{name}"
    if not isinstance(path, str):
        found = kind_of(path) if name in given else "missing"
        raise refusal(
            position, f"it is {found}; give a path {below and f'below {below} '}as a string"
        )
    plain = below.replace("<member>", "_") + path
    if stars:
        plain = "/".join("_" if segment == "*" else segment for segment in plain.split("/"))
    where = f" below {below}" if below else ""
    star = "'*' matches one whole segment" if stars else "'*' is not allowed here"
    checked(
        lambda: check_path(plain),
        position,
        f"{quoted(path)} is not valid{where}: {GRAMMAR}; {star}",
    )
    return path


def read_number(
    given: dict[str, Any], name: str, field: str, low: int, high: int, default: int | None = None
) -> int:
    """Return a whole number within its limits."""
    number = given.get(name, default)
    if type(number) is not int or not low <= number <= high:  # True is an int to isinstance
        raise refusal(
            f"{field}.{name}" if field else name,
            f"it is {kind_of(number)}; give a whole number from {low} to {high}",
        )
    return number


def read_boolean(given: dict[str, Any], name: str, field: str) -> bool:
    """Return true or false; false if the member is missing."""
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise refusal(
            f"{field}.{name}" if field else name, f"it is {kind_of(value)}; give true or false"
        )
    return value


def check_members(given: Any, field: str, known: set[str]) -> None:
    """Raise Invalid if the value is not an object or has unknown members."""
    names = ", ".join(sorted(known))
    if not isinstance(given, dict):
        raise refusal(field, f"it is {kind_of(given)}; give an object with members of {names}")
    for name in given:
        if name not in known:
            raise refusal(field, f"{quoted(name)} is unknown; only {names} are allowed together")


def checked(check: Callable[[], Any], field: str, what: str | None = None) -> Any:
    """Return the result of *check*; report its refusal as a fault at *field*."""
    try:
        return check()
    except (Invalid, TooLarge) as refused:
        raise refusal(field, what or refused.detail.rstrip(".")) from None
    except ValueError:  # NaN, or numbers of thousands of digits, which parse_json refuses
        raise refusal(field, "no fact can have this value") from None


def kind_of(given: Any) -> str:
    """Describe a value for an error message, shortly."""
    if given is None or isinstance(given, bool):
        return encode(given)
    if isinstance(given, int | float):
        return f"the number {given}" if abs(given) < 2**63 else "a huge number"
    if isinstance(given, str):
        return f"the string {quoted(given)}"
    what = "array" if isinstance(given, list) else "object"
    return f"an {what}" if given else f"an empty {what}"


def refusal(field: str, what: str) -> Invalid:
    """Return the error that states the fault at a field, and the remedy."""
    subject = f"Field {quoted(field)}" if field else "The definition"
    return Invalid(f"{subject}: {what}.", code="condition_invalid", extra={"field": field})
