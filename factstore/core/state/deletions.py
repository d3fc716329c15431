"""The newest deletions in a stack: deleted facts and members leave no revision behind.

Their number is limited: the paths of a folder with many deletions are replaced by the folder, at the
newest of their revisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

LIMIT = 64
"""The maximum number of paths."""


class Deletions:
    """Deleted paths, and folders that contain deleted paths; the empty path is the whole stack."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def add(self, path: str, revision: int) -> None:
        """Add a deletion."""
        if revision > self._newest.get(path, 0):
            self._newest[path] = revision
            if len(self._newest) > LIMIT:
                self._shrink()

    def discard(self, path: str, revision: int) -> None:
        """Forget the deletion of a path that exists again since a revision."""
        if self._newest.get(path, revision) < revision:
            del self._newest[path]

    def restore(self, recorded: Mapping[str, int], seen: int) -> None:
        """Replace the deletions up to a revision by those that were recorded at it."""
        later = {path: at for path, at in self._newest.items() if at > seen}
        self._newest = dict(recorded)
        for path, revision in later.items():
            self.add(path, revision)

    def items(self) -> Iterator[tuple[str, int]]:
        """Yield each path with the revision of its newest deletion."""
        yield from self._newest.items()

    def _shrink(self) -> None:
        while len(self._newest) > LIMIT // 2:
            folders = Counter(path.rpartition("/")[0] for path in self._newest)
            # Of folders with equally many paths, a deep one is replaced, because that affects less.
            folder = max(folders, key=lambda each: (folders[each], each.count("/"), each))
            start = f"{folder}/" if folder else ""
            merged = [p for p in self._newest if p == folder or p.startswith(start)]
            self._newest[folder] = max(self._newest[path] for path in merged)
            for path in merged:
                if path != folder:
                    del self._newest[path]
