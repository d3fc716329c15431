"""The dataclasses of the service: quick to declare, because a worker declares some 270 when it starts.

Python compiles five functions for each frozen dataclass, and sets each field of one through
``object.__setattr__``, which takes three times as long as an assignment.  Here, a function is compiled
when it is first used, and a worker uses few before it is ready.  At runtime, ``frozen=True`` only adds
the hash: the type checker keeps instances from being changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["quick_dataclass"]


class _Absent:
    """The default of an argument for which a new value is made; signatures show it as Python's own."""

    def __repr__(self) -> str:
        return "<factory>"


_ABSENT = _Absent()

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:

    def quick_dataclass(
        *, slots: bool, frozen: bool = False, eq: bool = True, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Return the decorator for a class; its parameters are those of ``dataclass``."""

        def declare(cls: type) -> type:
            written = cls.__dict__
            if written.get("__doc__") is None:
                cls.__doc__ = cls.__name__  # otherwise most of the time is taken to describe it
            declared: Any = dataclass(
                init=False, repr=False, eq=False, slots=slots, kw_only=kw_only
            )(cls)
            if "__init__" not in written:
                declared.__init__ = _CompiledWhenUsed(declared, "__init__", _initialization)
            if "__repr__" not in written:
                declared.__repr__ = _repr
            if not eq:
                return declared
            if "__eq__" not in written:
                declared.__eq__ = _CompiledWhenUsed(declared, "__eq__", _equality)
            if written.get("__hash__") is None:
                declared.__hash__ = (
                    _CompiledWhenUsed(declared, "__hash__", _hash) if frozen else None
                )
            return declared

        return declare


class _CompiledWhenUsed:
    """A method of a class that replaces itself by a compiled one when it is first looked up."""

    def __init__(self, cls: type, name: str, make: Callable[[type], Callable[..., Any]]) -> None:
        self._cls = cls
        self._name = name
        self._make = make

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        compiled: Any = self._make(self._cls)
        compiled.__name__ = self._name
        compiled.__qualname__ = f"{self._cls.__qualname__}.{self._name}"
        compiled.__module__ = self._cls.__module__
        setattr(self._cls, self._name, compiled)
        return compiled.__get__(instance, owner)


def _compiled(text: str, **names: Any) -> Callable[..., Any]:
    """Return a function, whose text has nothing but names of fields and those given."""
    return eval(text, names)  # type: ignore[no-any-return]  # noqa: S307


def _equality(cls: type) -> Callable[..., Any]:
    own, others = _compared(cls, "self"), _compared(cls, "other")
    return _compiled(
        "lambda self, other:"
        f" {own} == {others} if other.__class__ is self.__class__ else NotImplemented"
    )


def _hash(cls: type) -> Callable[..., Any]:
    return _compiled(f"lambda self: hash({_compared(cls, 'self')})")


def _compared(cls: Any, name: str) -> str:
    """Return the text of a tuple of the fields that are compared."""
    return f"({''.join(f'{name}.{each.name}, ' for each in fields(cls) if each.compare)})"


def _initialization(cls: Any) -> Callable[..., Any]:
    """Return the function that sets the fields of a new instance, as ``dataclass`` writes it."""
    positional, named, body = ["self"], list[str](), list[str]()
    names: dict[str, Any] = {"_ABSENT": _ABSENT}
    for each in fields(cls):
        name, parameter, value = each.name, each.name, each.name
        if each.default_factory is not MISSING:
            names[f"_make_{name}"] = each.default_factory
            parameter = f"{name}=_ABSENT"
            value = f"_make_{name}()"
            if each.init:
                value += f" if {name} is _ABSENT else {name}"
        elif each.default is not MISSING:
            names[f"_default_{name}"] = each.default
            parameter = f"{name}=_default_{name}"
            value = name if each.init else f"_default_{name}"
        elif not each.init:
            continue  # __post_init__ sets it
        if each.init:
            (named if each.kw_only else positional).append(parameter)
        body.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*positional, *(["*", *named] if named else [])])
    lines = "\n ".join(body or ["pass"])
    exec(f"def __init__({parameters}):\n {lines}", names)  # noqa: S102 - names of fields, as above
    made: Any = names["__init__"]
    made.__annotations__ = {each.name: each.type for each in fields(cls) if each.init}
    made.__annotations__["return"] = None
    return made  # type: ignore[no-any-return]


@recursive_repr()
def _repr(self: Any) -> str:
    shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"
