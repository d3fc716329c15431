"""The context as templates see it: data that knows its name, and holes.

A hole is a value that does not exist, is null, or is a sealed fact that this member may not read.  It
cannot be printed, joined, looped over or calculated with: a file with a gap is worse than the file from
before.  A template fills holes with ``default``, and asks for them with ``is defined`` or ``is none``.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import partial
from typing import Any, NoReturn

from jinja2 import StrictUndefined
from jinja2.exceptions import SecurityError, UndefinedError

from factstore.agent.apply.recorded_dict import RecordedDict

Path = tuple[str, ...]


class FactMissing(UndefinedError):
    """A template needs a fact that does not exist.

    :ivar path: of the fact, by its segments.
    """

    def __init__(self, path: Path, message: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class Hole(StrictUndefined):
    """A value that does not exist.  What is below it does not exist either."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks for its own protocols
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, key: object) -> Hole:  # type: ignore[override]
        error: Any = self._undefined_exception
        if error is SecurityError:
            self.fail()
        if isinstance(error, partial) and isinstance(key, str):
            return hole(self._undefined_message, (*error.args[0], key))
        return self

    def fail(self, *_: object) -> NoReturn:
        """Raise the error that names the hole."""
        raise self._undefined_exception(self._undefined_message)

    __abs__ = __round__ = fail


def hole(message: str, path: Path | None) -> Hole:
    """Return the hole of a fact or folder at a path; None for another value."""
    if path is None:
        return Hole(message)
    return Hole(message, exc=partial(FactMissing, path))  # type: ignore[arg-type]


class Null(Hole):
    """A null, which is false and can be compared."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return other is None or isinstance(other, Null)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(None)


class Masked(Hole):
    """A sealed fact that this member may not read."""

    __slots__ = ()


class ContextDict(dict[str, Any]):
    """An object of the context.

    :param name: as a template would write it, such as ``facts.nodes``.
    :param path: of the fact or folder, by its segments; None for another object.
    """

    __slots__ = ("_name", "_path")

    def __init__(self, items: Any, name: str, path: Path | None = None) -> None:
        super().__init__(items)
        self._name = name
        self._path = path


class ContextList(list[Any]):
    """A list of the context."""

    __slots__ = ("_name",)

    def __init__(self, items: Any, name: str) -> None:
        super().__init__(items)
        self._name = name


# Jinja2 names the type in errors.
ContextDict.__name__, ContextList.__name__ = "dict", "list"

READ_ONLY = (ContextDict, ContextList, RecordedDict)
"""The types of data that templates cannot change."""


def prepare(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context's document with names and holes, and with ``self`` as ``me``."""
    prepared = _Preparation(document.get("sensitive") or {})
    parts: dict[str, Any] = {}
    for part, value in document.items():
        if part == "facts":
            parts[part] = prepared.data(value, part, ())
        elif part == "self":
            parts["me"] = prepared.peer(value, "me", (value or {}).get("name"))
        elif part == "peers":
            parts[part] = ContextDict(
                {
                    group: ContextDict(
                        {
                            name: prepared.peer(peer, f"peers.{group}.{name}", name)
                            for name, peer in peers.items()
                        },
                        f"peers.{group}",
                    )
                    for group, peers in value.items()
                },
                part,
            )
        else:
            parts[part] = prepared.data(value, part, None)
    return parts


class _Preparation:
    """Converts the parts of a document.

    :param sealed: the paths of the sealed facts.
    """

    def __init__(self, sealed: Container[str]) -> None:
        self._sealed = sealed

    def data(self, value: Any, name: str, path: tuple[str, ...] | None) -> Any:
        """Return a value with its name; *path* is that of a fact or folder, or None."""
        if isinstance(value, dict):
            children = {
                key: self.data(child, f"{name}.{key}", None if path is None else (*path, key))
                for key, child in value.items()
            }
            return ContextDict(children, name, path)
        if isinstance(value, list):
            items = [self.data(item, f"{name}[{at}]", None) for at, item in enumerate(value)]
            return ContextList(items, name)
        if value is not None:
            return value
        if path is not None and "/".join(path) in self._sealed:
            return Masked(f"{name} is sealed, and this member is not among its readers")
        return Null(f"{name} is null")

    def peer(self, value: Any, name: str, node: str | None) -> Any:
        """Return a member with its facts, which are those of the folder *node*."""
        if not isinstance(value, dict):
            return self.data(value, name, None)
        children = {
            key: self.data(child, f"{name}.{key}", ("nodes", str(node)) if key == "facts" else None)
            for key, child in value.items()
        }
        return ContextDict(children, name)


def missing_below(obj: Any, key: object) -> Hole | None:
    """Return the hole for a key that an object of the context does not have; None for other objects."""
    raw = obj.raw if isinstance(obj, RecordedDict) else obj
    if not isinstance(raw, (ContextDict, ContextList)):
        return None
    path = raw._path if isinstance(raw, ContextDict) else None
    below = (*path, key) if path is not None and isinstance(key, str) else None
    return hole(f"{raw._name}.{key} does not exist", below)


def required(value: Any) -> Any:
    """Return a value that is not a hole.

    :raises TemplateRuntimeError: it is one.
    """
    if isinstance(value, Hole):
        value.fail()
    return value


def is_none(value: Any) -> bool:
    """Return True for a null, and for a sealed fact that this member may not read."""
    return value is None or isinstance(value, (Null, Masked))
