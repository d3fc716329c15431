"""The newest deletions in a stack: deleted facts and members leave no revision behind.

Their number is limited: the paths of a folder with many deletions are replaced by the folder, at the
newest of their revisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

LIMIT = 64
"""The maximum number of paths."""


class Deletions:
    """Deleted paths, and folders that contain deleted paths; the empty path is the whole stack.

    :ivar newest: the revision of the newest deletion of each path.
    """

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}

    def add(self, path: str, revision: int) -> None:
        """Add a deletion."""
        if revision > self.newest.get(path, 0):
            self.newest[path] = revision
            if len(self.newest) > LIMIT:
                self._shrink()

    def discard(self, path: str, revision: int) -> None:
        """Forget the deletion of a path that exists again since a revision."""
        if self.newest.get(path, revision) < revision:
            del self.newest[path]

    def restore(self, recorded: Mapping[str, int], seen: int) -> None:
        """Replace the deletions up to a revision by those that were recorded at it."""
        later = {path: at for path, at in self.newest.items() if at > seen}
        self.newest = dict(recorded)
        for path, revision in later.items():
            self.add(path, revision)

    def _shrink(self) -> None:
        while len(self.newest) > LIMIT // 2:
            folders = Counter(path.rpartition("/")[0] for path in self.newest)
            # Of folders with equally many paths, a deep one is replaced, because that affects less.
            folder = max(folders, key=lambda each: (folders[each], each.count("/"), each))
            start = f"{folder}/" if folder else ""
            merged = [p for p in self.newest if p == folder or p.startswith(start)]
            self.newest[folder] = max(self.newest[path] for path in merged)
            for path in merged:
                if path != folder:
                    del self.newest[path]
