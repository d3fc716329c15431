"""The maintenance of etcd: its newest revision, what deleted stacks have left, and compaction."""

from __future__ import annotations

from factstore.core.errors import StorageFull
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient
from factstore.store.compaction_turn import try_compaction_turn
from factstore.store.etcd_leases import EtcdLeases
from factstore.store.head import Head
from factstore.store.keyspace import Keyspace
from factstore.store.purge import Purge
from factstore.store.types import Compare, DeleteKeys, PutKey, Txn


class EtcdMaintenance(EtcdLeases):
    """The part of a backend that maintains etcd."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace, clock: Clock) -> None:
        super().__init__(client, keyspace, clock)
        self._head = Head(client, keyspace)
        self._purge = Purge(client, keyspace, clock)
        self.defer = client.loop.defer
        """Calls a function at the end of a turn of the loop; at once without a loop."""

    def bump_revision(self, deadline: float) -> int:
        """Write the sentinel, so that the watch reports a revision after those of other clients.

        If the store is full, a note about a former deletion is deleted instead, or the sentinel.
        """
        same = Compare(self._keys.epoch, "value", "==", self._head.store_id)
        try:
            put = PutKey(self._keys.sentinel, b"")
            txn = Txn([same], [put])
            _, revision = self._client.transact(txn, deadline, repeatable=True)
        except StorageFull:
            spare = (
                self._client.get(*self._keys.all_acts, limit=1, deadline=deadline).items
                or self._client.get(self._keys.sentinel, deadline=deadline).items
            )
            if not spare:
                raise
            delete = DeleteKeys(spare[0].key)
            _, revision = self._client.transact(Txn([same], [delete]), deadline=deadline)
        return revision

    def purge_deleted(self, deadline: float) -> None:
        """Delete the data of deleted stacks, in small transactions."""
        self._purge.run(deadline)

    def compact(self, revision: int, deadline: float) -> None:
        """Compact the history before a revision."""
        self._client.compact(revision, deadline=deadline)

    def try_compaction_turn(self, seen: int, deadline: float) -> tuple[bool, int, int]:
        """See :func:`~factstore.store.compaction_turn.try_compaction_turn`."""
        return try_compaction_turn(self._client, self._keys, seen, deadline)
