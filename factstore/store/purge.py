"""Deleting the data of deleted stacks, and the leases to which they are attached."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from factstore.core.errors import CursorExpired
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient
from factstore.store.head import Head
from factstore.store.key_builder import KeyRange
from factstore.store.keyspace import Keyspace
from factstore.store.types import DeleteKeys, KeyValue, Txn

LOG = logging.getLogger(__name__)

SWEEP = 250  # keys deleted in one transaction: every other writer waits meanwhile


class Purge:
    """Deletes what deleted stacks left, in small steps; every worker does so."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace, clock: Clock, head: Head) -> None:
        self._client = client
        self._keys = keyspace
        self._clock = clock
        self._head = head
        self._unmarked: dict[tuple[str, str], KeyRange] = {}
        self._epoch = ""

    def add(self, epoch: str, project_id: str, stack_id: str) -> None:
        """Add a stack that is not marked, because the store is full.

        If this worker is killed before the next run, the data are orphans, which verify repairs.

        :param epoch: of the store in which the stack was deleted.
        """
        self._begin(epoch)
        self._unmarked[project_id, stack_id] = self._keys.data(project_id, stack_id)

    def _begin(self, epoch: str) -> None:
        """Forget what was added in another store, in which a backup may contain it again."""
        if epoch != self._epoch:
            self._epoch, self._unmarked = epoch, {}

    def run(self, deadline: float) -> None:
        """Delete the data of all stacks that are marked or were added, until a deadline.

        :raises CursorExpired: the store was replaced.
        """
        self._begin(self._head.epoch)
        for stack, data in list(self._unmarked.items()):
            if not self._delete(data, deadline):
                return
            self._unmarked.pop(stack, None)  # another thread may have run at the same time
        for mark in list(self._pages(self._keys.all_purges, deadline)):
            parsed = self._keys.parse_strict(mark.key)
            if parsed is None:  # one stray key must not block all others
                LOG.error("key %r is ignored: it does not contain the id of a stack", mark.key)
                continue
            if not self._delete(self._keys.data(parsed.project_id, parsed.stack_id), deadline):
                return
            self._transact(DeleteKeys(mark.key), deadline)

    def _delete(self, data: KeyRange, deadline: float) -> bool:
        """Delete a range of keys; return False if the deadline was reached before."""
        while True:
            found = self._client.get(*data, limit=SWEEP, keys_only=True, deadline=deadline)
            if not found.items:
                return True
            self._head.check_same(self._epoch, deadline)  # no lease can be compared
            # The leases come first: once a key is deleted, no lease is found by it.
            for lease in {item.lease for item in found.items} - {0}:
                if self._clock.monotonic() >= deadline:
                    return False
                self._client.revoke(lease, deadline=deadline)
            if self._clock.monotonic() >= deadline:
                return False
            last = found.items[-1].key + b"\0"
            self._transact(DeleteKeys(data.start, last), deadline)

    def _transact(self, delete: DeleteKeys, deadline: float) -> None:
        """Delete keys, unless the store was replaced."""
        same = self._head.guard(self._epoch)
        if not self._client.transact(Txn([same], [delete]), deadline=deadline)[0]:
            raise CursorExpired("The store was replaced")

    def _pages(self, keys: KeyRange, deadline: float) -> Iterator[KeyValue]:
        start = keys.start
        while True:
            found = self._client.get(start, keys.end, limit=SWEEP, deadline=deadline)
            yield from found.items
            if len(found.items) < SWEEP:
                return
            start = found.items[-1].key + b"\0"
