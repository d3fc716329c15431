"""The values that each fact had, by revision."""

from __future__ import annotations

from bisect import bisect_right

from tests.faults.checker import History, Scope


class Values:
    """An index of a history by scope and path."""

    def __init__(self, history: History) -> None:
        self._changes: dict[tuple[Scope, str], list[tuple[int, str | None]]] = {}
        for scope, events in history.events.items():
            for revision, changes in events.items():
                for change in changes:
                    if change.path is None:
                        for key, of_key in self._changes.items():
                            if key[0] == scope:
                                of_key.append((revision, None))
                    elif change.type.startswith("fact."):
                        of_path = self._changes.setdefault((scope, change.path), [])
                        of_path.append((revision, change.value))

    def at(self, scope: Scope, path: str, revision: int) -> str | None:
        """Return the value of a fact at a revision; None if it did not exist."""
        changes, at = self._find(scope, path, revision)
        return changes[at - 1][1] if at else None

    def could_be_read(self, scope: Scope, path: str, value: str | None, since: int) -> bool:
        """Return True if a fact had a value, or was absent, at a revision or later."""
        if self.at(scope, path, since) == value:
            return True
        changes, at = self._find(scope, path, since)
        return value in [later for _, later in changes[at:]]

    def first(self, scope: Scope, path: str, value: str, since: int) -> int | None:
        """Return the first revision, from *since* on, at which a fact had a value."""
        if self.at(scope, path, since) == value:
            return since
        changes, at = self._find(scope, path, since)
        return next((revision for revision, later in changes[at:] if later == value), None)

    def _find(
        self, scope: Scope, path: str, revision: int
    ) -> tuple[list[tuple[int, str | None]], int]:
        changes = self._changes.get((scope, path), [])
        return changes, bisect_right(changes, revision, key=lambda each: each[0])
