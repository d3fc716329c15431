"""Texts that many readers share, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from factstore.core.short_lock import ShortLock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    revision: int
    value: V
    size: int


class Cache(Generic[K, V]):
    """Values by key, each for the revision at which it was made.

    The oldest values are deleted when all are larger than *most*.  The newest one is always kept, so
    that a value of any size is made once for all its readers.

    :param most: the size of all values, in the unit of :meth:`put`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = ShortLock()
        self._entries: dict[K, _Entry[V]] = {}
        self._size = 0

    def get(self, key: K, revision: int) -> V | None:
        """Return the value of a key at a revision, or None."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and entry.revision == revision else None

    def put(self, key: K, revision: int, value: V, size: int) -> None:
        """Store the value of a key in place of an older one."""
        with self._lock:
            self._drop(key)
            self._entries[key] = _Entry(revision, value, size)
            self._size += size
            while self._size > self._most and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size
