"""The fence of a worker's attempts to write, which decides the attempts whose outcome is unknown.

An attempt that a member of etcd has forwarded late may be applied long after the worker has given up
waiting for it.  So each attempt compares the revision of a key, the fence.  Before the worker looks
whether a lost attempt was applied, it raises the fence: it writes the key.  As revisions only grow, an
attempt that was sent before cannot be applied afterwards, whatever others have done meanwhile.  It was
applied at an earlier revision than that of the fence, or never.

If an attempt was lost, the fence remembers that until it has been raised.

Workers may share a fence: a worker whose attempt was fenced off by another one sends it again.
"""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.short_lock import ShortLock
from factstore.store.types import Fence


class AttemptFence:
    """A fence.

    :param raise_key: raises a fence that has a revision, and returns its new one; if the fence had
        another revision already, returns that.
    """

    def __init__(self, key: bytes, raise_key: Callable[[Fence, float], int]) -> None:
        self._raise_key = raise_key
        self._lock = ShortLock()
        self._current = Fence(key, 0)
        self._lost: Fence | None = None

    @property
    def current(self) -> Fence:
        """The fence that the next attempt has to compare."""
        return self._current

    @property
    def has_lost(self) -> bool:
        """True if an attempt was lost, and may still be applied."""
        return self._lost is not None and self._lost == self._current

    def lose(self, known: Fence) -> None:
        """Note that an attempt was lost which compares a fence."""
        self._lost = known

    def forget_lost(self) -> None:
        """Note that no lost attempt can be applied any more, although the fence was not raised."""
        self._lost = None

    def raise_(self, deadline: float) -> int:
        """Raise the fence, and return a revision that follows all attempts that were applied.

        :raises StorageFull: the key cannot be written.
        """
        known = self._current
        revision = self._raise_key(known, deadline)
        self.note(known, revision)
        return revision

    def note(self, known: Fence, revision: int) -> None:
        """Use a revision that was found where the fence was expected to have another one."""
        with self._lock:
            # A newer revision may be known by now.  After a restore from a backup, it may be lower.
            if self._current == known:
                self._current = Fence(known.key, revision)
