"""A dictionary that reports each access to a reader, which knows what the dictionary stands for.

It looks like any dictionary to templates, filters and :mod:`json`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

MISSING = object()


class Reader:
    """The meaning of an object of the document."""

    def key(self, name: str, value: Any) -> Any:
        """Return the value of a key, which was read; it may be missing."""
        raise NotImplementedError

    def names(self) -> None:
        """Record that all keys were read."""
        raise NotImplementedError

    def items(self, raw: dict[str, Any]) -> list[tuple[str, Any]]:
        """Return all keys and values, which were read."""
        self.names()
        return [(name, self.key(name, value)) for name, value in raw.items()]

    def everything(self) -> None:
        """Record that the object was read as a whole."""
        raise NotImplementedError


class RecordedDict(dict[str, Any]):
    """A dictionary that records what is read of it."""

    __slots__ = ("_raw", "_reader")
    __hash__ = None

    def __init__(self, raw: dict[str, Any], reader: Reader) -> None:
        super().__init__(raw)
        self._raw = raw
        self._reader = reader

    @property
    def raw(self) -> dict[str, Any]:
        """The dictionary itself; nothing is recorded."""
        return self._raw

    def __getitem__(self, key: str) -> Any:
        value = self._read(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        value = self._read(key)
        return default if value is MISSING else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._read(key) is not MISSING

    def _read(self, key: object) -> Any:
        if not isinstance(key, str):
            return MISSING
        return self._reader.key(key, self._raw.get(key, MISSING))

    def __iter__(self) -> Iterator[str]:
        self._reader.names()
        return iter(self._raw)

    def __reversed__(self) -> Iterator[str]:
        self._reader.names()
        return reversed(self._raw)

    def __len__(self) -> int:
        self._reader.names()
        return len(self._raw)

    def keys(self) -> Any:
        self._reader.names()
        return self._raw.keys()

    def values(self) -> Any:
        return [value for _, value in self._reader.items(self._raw)]

    def items(self) -> Any:
        return self._reader.items(self._raw)

    def whole(self) -> dict[str, Any]:
        """Return the dictionary itself, all of which is read."""
        self._reader.everything()
        return self._raw

    def copy(self) -> dict[str, Any]:
        return self.whole().copy()

    def __eq__(self, other: object) -> bool:
        return self.whole() == (other.whole() if isinstance(other, RecordedDict) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __or__(self, other: Any) -> Any:
        return self.whole() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.whole()

    def __repr__(self) -> str:
        return repr(self.whole())

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(self.whole(), memo)


# Jinja2 names the type in errors such as "'dict object' has no attribute 'ip'".
RecordedDict.__module__, RecordedDict.__name__ = "builtins", "dict"
