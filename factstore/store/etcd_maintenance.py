"""The maintenance of etcd: its newest revision, what deleted stacks have left, and compaction."""

from __future__ import annotations

from factstore.core.errors import CursorExpired, StorageFull
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient
from factstore.store.compaction_turn import try_compaction_turn
from factstore.store.etcd_leases import EtcdLeases
from factstore.store.keyspace import Keyspace
from factstore.store.purge import Purge
from factstore.store.types import DeleteKeys, PutKey, Txn


class EtcdMaintenance(EtcdLeases):
    """The part of a backend that maintains etcd."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace, clock: Clock) -> None:
        super().__init__(client, keyspace, clock)
        self._purge = Purge(client, keyspace, clock, self._head)
        self.defer = client.loop.defer
        """Calls a function at the end of a turn of the loop; at once without a loop."""

    def bump_revision(self, deadline: float) -> int:
        """Write the sentinel, so that the watch reports a revision after those of other clients.

        If the store is full, a note about a former deletion is deleted instead, or the sentinel.

        :raises CursorExpired: the store was replaced.
        """
        same = self._head.guard(self._head.epoch)
        try:
            put = PutKey(self._keys.sentinel, b"")
            txn = Txn([same], [put])
            bumped, revision = self._client.transact(txn, deadline, repeatable=True)
        except StorageFull:
            spare = (
                self._client.get(*self._keys.all_acts, limit=1, deadline=deadline).items
                or self._client.get(self._keys.sentinel, deadline=deadline).items
            )
            if not spare:
                raise
            delete = DeleteKeys(spare[0].key)
            bumped, revision = self._client.transact(Txn([same], [delete]), deadline=deadline)
        if not bumped:
            raise CursorExpired("The store was replaced")
        return revision

    def purge_deleted(self, deadline: float) -> None:
        """Delete the data of deleted stacks, in small transactions."""
        self._purge.run(deadline)

    def compact(self, revision: int, deadline: float) -> None:
        """Compact the history before a revision."""
        self._client.compact(revision, deadline=deadline)

    def try_compaction_turn(self, seen: int, deadline: float) -> tuple[bool, int, int]:
        """See :func:`~factstore.store.compaction_turn.try_compaction_turn`."""
        same = self._head.guard(self._head.epoch)
        return try_compaction_turn(self._client, self._keys, same, seen, deadline)
