"""The roll of workers, which shows whether another one may know of renewals.

A worker that has passed on the renewal of a pulse restores it if a former leader of etcd revokes it.
If the worker is lost, so is its knowledge.  So each worker has a key on a lease that it renews all the
time.  Its value is the newest revision up to which the worker has restored the pulses that it has
renewed.  The key of a lost worker stays for a day: longer than the time of any member.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from factstore.core.errors import OutcomeUnknown, StorageFull
from factstore.core.lease_store import OtherWorker
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import LeaseExists, LeaseExpired, PutKey, Txn

ROLL_SECONDS = 86_400 + 3_600


class Roll:
    """The keys of all workers, and the one of this worker."""

    def __init__(self, client: EtcdClient, keys: Keyspace) -> None:
        self._client = client
        self._keys = keys
        self._key = keys.worker(secrets.token_hex(8))
        self._lease = 0
        self._answer, self._stored = 0, -1

    def sign(self, deadline: float) -> None:
        """Show that this worker is alive.

        While etcd is full, a worker that has no key yet is treated as if it did not exist.
        """
        with suppress(StorageFull):
            while not (self._lease and self._client.renew(self._lease, deadline=deadline)):
                self._lease, self._stored = 0, -1
                with suppress(LeaseExists):
                    lease = self._keys.new_lease()
                    self._lease = self._client.grant(ROLL_SECONDS, lease, deadline=deadline)
            if self._stored != self._answer:
                self.answer(self._answer, deadline)

    def answer(self, revision: int, deadline: float) -> None:
        """Store the revision up to which this worker has restored pulses, now or with the next sign."""
        self._answer = revision
        put = PutKey(self._key, str(revision).encode(), self._lease)
        with suppress(LeaseExpired, OutcomeUnknown, StorageFull):
            if self._lease:
                self._client.transact(Txn([], [put]), deadline)
                self._stored = revision

    def others(self, deadline: float) -> list[OtherWorker]:
        """Return all other workers that are or were there."""
        found = self._client.get(*self._keys.all_workers, deadline=deadline).items
        return [
            OtherWorker(
                int(item.value) if item.value.isdigit() else 0,
                self._client.seconds_since_renewal(item.lease, deadline=deadline),
            )
            for item in found
            if item.key != self._key
        ]
