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
from factstore.core.model.cursor import Cursor
from factstore.store.client import EtcdClient
from factstore.store.head import Head
from factstore.store.keyspace import Keyspace
from factstore.store.types import LeaseExists, LeaseExpired, PutKey, Txn

ROLL_SECONDS = 86_400 + 3_600

_NOTHING = Cursor("", -1)


class Roll:
    """The keys of all workers, and the one of this worker."""

    def __init__(self, client: EtcdClient, keys: Keyspace, head: Head) -> None:
        self._client = client
        self._keys = keys
        self._head = head
        self._key = keys.worker(secrets.token_hex(8))
        self._lease = 0
        self._answer, self._stored = Cursor("", 0), _NOTHING

    def sign(self, deadline: float) -> None:
        """Show that this worker is alive.

        While etcd is full, a worker that has no key yet is treated as if it did not exist.
        """
        with suppress(StorageFull):
            while not (self._lease and self._client.renew(self._lease, deadline=deadline)):
                self._lease, self._stored = 0, _NOTHING
                with suppress(LeaseExists):
                    lease = self._keys.new_lease()
                    self._lease = self._client.grant(ROLL_SECONDS, lease, deadline=deadline)
            if (
                self._answer.epoch != self._head.epoch
            ):  # it is an answer in a store that was replaced
                self._answer = Cursor(self._head.epoch, 0)
            if self._stored != self._answer:
                self.answer(self._answer, deadline)

    def answer(self, at: Cursor, deadline: float) -> None:
        """Store the revision up to which this worker has restored pulses, now or with the next sign.

        :raises CursorExpired: the store is no longer that of the cursor.
        """
        self._answer = at
        put = PutKey(self._key, str(at.revision).encode(), self._lease)
        # Without pulses to restore, the answer is right in any store, also before one is opened.
        same = [self._head.guard(at.epoch)] if at.revision else []
        with suppress(LeaseExpired, OutcomeUnknown, StorageFull):
            if self._lease and self._client.transact(Txn(same, [put]), deadline)[0]:
                self._stored = at

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
