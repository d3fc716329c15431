"""The paths of a stack that are changed as a consequence of other changes, counted.

A path that was changed often like this may be part of a loop; the chains of causes show whether it is.
A fact without a cause costs nothing here.
"""

from __future__ import annotations

PATHS = 1000
"""The number of paths that are counted; with more, counting begins again."""
AT_ONCE = 20
"""The number of paths that are returned at once."""


class CausedPaths:
    """The counters of one stack."""

    __slots__ = ("_changed", "_counts")

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._counts: dict[str, int] = {}

    def note(self, path: str) -> None:
        """Count a change of a path whose author has stated a cause."""
        if len(self._counts) >= PATHS and path not in self._counts:
            self._counts.clear()
            self._changed.clear()
        self._counts[path] = self._counts.get(path, 0) + 1
        self._changed.add(path)

    def take_frequent(self, times: int) -> list[str]:
        """Return paths that have changed more often, and again since they were last returned.

        There are at most :data:`AT_ONCE`; the others are left for the next call.
        """
        if not self._changed:
            return []
        frequent = [path for path in self._changed if self._counts[path] > times]
        found = sorted(frequent)[:AT_ONCE]
        self._changed = set(frequent).difference(found)
        return found

    def add(self, earlier: CausedPaths) -> None:
        """Add changes that were counted elsewhere."""
        for path, count in earlier._counts.items():
            if path in self._counts or len(self._counts) < PATHS:
                self._counts[path] = self._counts.get(path, 0) + count
                self._changed.add(path)
