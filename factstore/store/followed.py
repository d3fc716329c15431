"""The revision up to which some worker has seen all changes.

It is stored, so that a worker that opens the store knows whether the history that it cannot read any
more was seen by another one.  If not, a condition may have been met without anybody noticing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from factstore.core.model.cursor import Cursor
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare, PutKey, Txn

LOG = logging.getLogger(__name__)


class Opening(NamedTuple):
    """The revisions at which the service may begin to follow the store.

    :param oldest: the first one, from which the whole window is followed.
    :param newest: the first one that no worker is known to have seen.
    :param lost_at: the newest revision that was lost; 0 for none.
    """

    oldest: int
    newest: int
    lost_at: int


class Followed:
    """The key with the revision.

    :param guard: returns the comparison that fails in all stores but that of an epoch.
    """

    def __init__(self, client: EtcdClient, keys: Keyspace, guard: Callable[[str], Compare]) -> None:
        self._client = client
        self._keys = keys
        self._guard = guard
        self._seen = 0

    def open(
        self, head: int, compacted_after: Callable[[int], int], window: int, deadline: float
    ) -> Opening:
        """Return the first revision to follow.

        Nothing is skipped that can be read and that no other worker has seen.

        :param head: the newest revision.
        :param compacted_after: returns the revision to which etcd is compacted; 0 if it is not later
            than its argument.
        :param window: the number of revisions that a new worker follows in any case.
        """
        found = self._client.get(self._keys.followed, deadline=deadline).items
        if not found:
            oldest = max(head - window, 0)
            start = max(compacted_after(oldest), oldest) + 1
            absent = Compare(self._keys.followed, "create", "==", 0)
            put = PutKey(self._keys.followed, str(start - 1).encode())
            self._client.transact(Txn([absent], [put]), deadline=deadline)
            return Opening(start, start, 0)
        followed, noted_at = _revision(found[0].value), found[0].revision
        if noted_at == followed + 1:
            followed = noted_at  # nothing but this key was written at that revision
        oldest, newest = max(min(head - window, followed), 0), max(min(head, followed), 0)
        compacted = compacted_after(oldest)
        lost_at = compacted - 1 if followed < compacted - 1 else 0
        if lost_at:
            LOG.warning(
                "history up to revision %d was compacted before a worker is known to have seen it",
                lost_at,
            )
        return Opening(max(compacted, oldest) + 1, max(compacted, newest) + 1, lost_at)

    def note(self, at: Cursor, deadline: float, *, at_once: bool = False) -> None:
        """Store a newer revision, unless another worker has done so since the last call.

        Nothing is stored if the store has not changed since.

        :param at_once: True to store it in any case.
        :raises CursorExpired: the store is no longer that of the cursor.
        """
        same, revision = self._guard(at.epoch), at.revision
        found = self._client.get(self._keys.followed, deadline=deadline)
        item = found.items[0] if found.items else None
        stored = _revision(item.value) if item else 0
        written = item.revision if item else 0
        other, self._seen = written != self._seen, written
        if revision <= stored or (not at_once and (other or revision <= written)):
            return
        unchanged = Compare(self._keys.followed, "mod", "==", written)
        put = PutKey(self._keys.followed, str(revision).encode())
        mine, written = self._client.transact(Txn([same, unchanged], [put]), deadline=deadline)
        if mine:
            self._seen = written


def _revision(note: bytes) -> int:
    """Return the stored revision; 0 if another client wrote the value."""
    return int(note) if note.isdigit() else 0
