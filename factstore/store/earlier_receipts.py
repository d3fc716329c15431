"""Receipts that an earlier version of the service stored outside the stacks.

They expire within a day of the upgrade.  A worker asks etcd for one only if it has seen that there are
any, so that afterwards they cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from factstore.core.model.receipt import Receipt
from factstore.core.operations.idempotency import earlier_receipt
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import WatchEvent


class EarlierReceipts:
    """Finds the receipts of an earlier version."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace) -> None:
        self._client = client
        self._keys = keyspace
        self._exist = False

    def look(self, deadline: float) -> None:
        """Find out whether there are any."""
        found = self._client.get(
            *self._keys.all_receipts, limit=1, keys_only=True, deadline=deadline
        )
        self._exist = bool(found.items)

    def note(self, events: Iterable[WatchEvent]) -> None:
        """Note that there are some if a worker of an earlier version has changed one."""
        start, end = self._keys.all_receipts
        if any(start <= event.item.key < end for event in events):
            self._exist = True

    def find(self, project_id: str, key: str, deadline: float) -> Receipt | None:
        """Return the receipt of an idempotency key, or None."""
        if not self._exist:
            return None
        found = self._client.get(self._keys.receipt(project_id, key), deadline=deadline)
        if not found.items:
            return None
        item = found.items[0]
        return earlier_receipt(key, item.value, item.revision)
