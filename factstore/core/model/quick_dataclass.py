"""The dataclasses of the service: quick to declare, because a worker declares some 250 when it starts.

Python compiles five functions for each frozen dataclass, and sets each field of one through
``object.__setattr__``, which takes three times as long as an assignment.  Here only ``__init__`` is
compiled when a class is declared, and comparison and hash when they are first used.  At runtime,
``frozen=True`` only adds the hash: the type checker keeps instances from being changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["quick_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:

    def quick_dataclass(
        *, slots: bool, frozen: bool = False, eq: bool = True, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Return the decorator for a class; its parameters are those of ``dataclass``."""

        def declare(cls: type) -> type:
            written = cls.__dict__
            declared: Any = dataclass(repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
            if "__repr__" not in written:
                declared.__repr__ = _repr
            if not eq:
                return declared
            if "__eq__" not in written:
                declared.__eq__ = _compiled_when_used(declared, "__eq__", _equality)
            if written.get("__hash__") is None:
                declared.__hash__ = (
                    _compiled_when_used(declared, "__hash__", _hash) if frozen else None
                )
            return declared

        return declare


def _compiled_when_used(cls: type, name: str, write: Callable[[type], str]) -> Callable[..., Any]:
    """Return a method that replaces itself by a compiled one.

    :param write: returns the text of the function.
    """

    def first(*args: Any) -> Any:
        compiled = eval(write(cls))  # noqa: S307 - the text has nothing but names of fields
        setattr(cls, name, compiled)
        return compiled(*args)

    return first


def _equality(cls: type) -> str:
    own, others = _compared(cls, "self"), _compared(cls, "other")
    return (
        "lambda self, other:"
        f" {own} == {others} if other.__class__ is self.__class__ else NotImplemented"
    )


def _hash(cls: type) -> str:
    return f"lambda self: hash({_compared(cls, 'self')})"


def _compared(cls: Any, name: str) -> str:
    """Return the text of a tuple of the fields that are compared."""
    return f"({''.join(f'{name}.{each.name}, ' for each in fields(cls) if each.compare)})"


@recursive_repr()
def _repr(self: Any) -> str:
    shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"
