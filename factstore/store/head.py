"""The newest revision of the store that was opened, and no other's."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import NamedTuple

from factstore.core.errors import CursorExpired
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare, PutKey, RangeResult, Txn


class Opened(NamedTuple):
    """A store that was opened.

    :param store_id: its random id.
    :param cluster_id: that of etcd.
    :param renewed_at: the revision at which the random id was written.
    :param revision: the newest one.
    """

    store_id: bytes
    cluster_id: int
    renewed_at: int
    revision: int

    @property
    def epoch(self) -> str:
        """The epoch, which follows from both ids."""
        return hashlib.sha256(b"%d/%b" % (self.cluster_id, self.store_id)).hexdigest()[:16]

    @property
    def signing_key(self) -> bytes:
        """A key that only workers of the store know."""
        return hashlib.sha256(b"signing key %b" % self.store_id).digest()


class Head:
    """Reads the newest revision, with the epoch key.

    :ivar opened: the value of that key when the store was opened, and the epoch that follows from it.
    """

    def __init__(self, client: EtcdClient, keyspace: Keyspace) -> None:
        self._client = client
        self._keys = keyspace
        self.opened = b"", ""

    def use(self, store_id: bytes, epoch: str) -> None:
        """Let the newest revision be that of a store that was opened, and no longer another's."""
        self.opened = store_id, epoch  # replaced at once, so that no write finds one of each store

    def check(self, store_id: bytes, deadline: float) -> None:
        """Raise CursorExpired if another store has taken the place of one that is being opened."""
        found = self._client.get(self._keys.epoch, deadline=deadline)
        if not found.items or found.items[0].value != store_id:
            raise CursorExpired("The store was replaced while it was read")

    def guard(self, epoch: str) -> Compare:
        """Return a comparison that fails in all stores but that of an epoch.

        :raises CursorExpired: another store is in use.
        """
        store_id, opened = self.opened
        if epoch != opened:
            raise CursorExpired("The store was replaced")
        return Compare(self._keys.epoch, "value", "==", store_id)

    @property
    def epoch(self) -> str:
        """The epoch of the store that is in use; empty before the first one."""
        return self.opened[1]

    def open(self, deadline: Callable[[], float]) -> Opened:
        """Open the store; its random id is created on first use.

        :param deadline: returns that of the next call.
        """
        while True:
            found = self._client.get(self._keys.epoch, deadline=deadline())
            if found.items:
                item = found.items[0]
                return Opened(item.value, found.cluster_id, item.revision, found.revision)
            absent = Compare(self._keys.epoch, "create", "==", 0)
            name = PutKey(self._keys.epoch, new_store_id())
            self._client.transact(Txn([absent], [name]), deadline=deadline())

    def read(self, deadline: float) -> int:
        """Return the newest revision, with a linearizable read.

        :raises CursorExpired: the store was replaced.
        """
        found = self._client.get(self._keys.epoch, deadline=deadline, hedged=True)
        if not self._is_same(found):
            raise CursorExpired("The store was replaced")
        return found.revision

    def check_same(self, epoch: str, deadline: float) -> None:
        """Raise CursorExpired if what was read from etcd may not be of the store of an epoch."""
        self.guard(epoch)
        self.read(deadline)

    def start(self, ended: Callable[[int | None], object]) -> bool:
        """Start :meth:`read` without waiting; return False if that is not possible.

        :param ended: called with None if :meth:`read` has to find out what is wrong.
        """

        def read(found: RangeResult | None) -> None:
            same = found is not None and self._is_same(found)
            ended(found.revision if found is not None and same else None)

        return self._client.loop.get(self._keys.epoch, read)

    def _is_same(self, found: RangeResult) -> bool:
        return bool(found.items) and found.items[0].value == self.opened[0]


def new_store_id() -> bytes:
    """Return a random id of a store, from which its epoch follows."""
    return secrets.token_hex(16).encode()
