"""Better texts for the errors of calls that do not exist, such as those that other clients have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing import ParamSpec

    P = ParamSpec("P")
R = TypeVar("R")

ATTRIBUTES = {
    "facts": "snapshot() and context() return all facts, and list() returns pages of them",
    "set": "put(path, value) stores a fact",
    "update": "batch([Put(path, value), ...]) stores several facts",
    "events": "watch() iterates over events",
    "join": 'member("NAME").join("GROUP") makes a member join',
}
"""Attributes that a stack does not have, and what to use instead."""


def missing_attribute(owner: object, name: str) -> AttributeError:
    """Return the error for an attribute that *owner* does not have."""
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    advice = ATTRIBUTES.get(name)
    return AttributeError(f"{text}: {advice}." if advice else text)


def advises(text: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that adds *text* to the error of a call with wrong arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def advised(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                raised_here = error.__traceback__ is not None and not error.__traceback__.tb_next
                if raised_here:  # and not by a statement of the function
                    raise TypeError(f"{error}. {text}") from None
                raise

        return advised

    return decorate
