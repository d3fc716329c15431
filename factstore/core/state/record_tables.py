"""The records of one stack, by class and name, and in the order of their names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from typing import cast

from factstore.core.model.record import R, Record, RecordKey


class RecordTables:
    """The records of a stack.

    The names of a class are sorted when its records are listed for the first time, and kept in order
    from then on, because most classes are never listed.
    """

    __slots__ = ("_names", "_tables")

    def __init__(self) -> None:
        self._tables: dict[type[Record], dict[str, Record]] = {}
        self._names: dict[type[Record], list[str]] = {}

    def __iter__(self) -> Iterator[Record]:
        """Yield all records."""
        for table in self._tables.values():
            yield from table.values()

    def table(self, kind: type[R]) -> Mapping[str, R]:
        """Return the records of a class, by name."""
        return cast("Mapping[str, R]", self._tables.get(kind, {}))

    def find(self, key: RecordKey) -> Record | None:
        """Return a record, or None if it does not exist."""
        table = self._tables.get(key.kind)
        return None if table is None else table.get(key.name)

    def after(self, kind: type[R], name: str = "") -> Iterator[R]:
        """Yield the records of a class after a name, ordered by name."""
        names, table = self._sorted_names(kind), self.table(kind)
        for at in range(bisect_right(names, name), len(names)):
            yield table[names[at]]

    def below(self, kind: type[R], folder: str) -> Iterator[R]:
        """Yield the records of a class whose names begin with a folder and a slash, in order."""
        start = f"{folder}/"
        names, table = self._sorted_names(kind), self.table(kind)
        for at in range(bisect_left(names, start), len(names)):
            if not names[at].startswith(start):
                return
            yield table[names[at]]

    def put(self, record: Record) -> Record | None:
        """Store a record; return the one that it replaces, or None."""
        kind, name = record.record_key
        table = self._tables.setdefault(kind, {})
        former = table.get(name)
        table[name] = record
        if former is None and (names := self._names.get(kind)) is not None:
            insort(names, name)
        return former

    def drop(self, key: RecordKey) -> Record | None:
        """Delete a record and return it; None if it did not exist."""
        table = self._tables.get(key.kind)
        record = None if table is None else table.pop(key.name, None)
        if record is not None and (names := self._names.get(key.kind)) is not None:
            del names[bisect_left(names, key.name)]
        return record

    def _sorted_names(self, kind: type[Record]) -> list[str]:
        names = self._names.get(kind)
        if names is None:
            names = self._names[kind] = sorted(self._tables.get(kind, ()))
        return names
