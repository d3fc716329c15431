"""The newest revision of the store that was opened, and no other's."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from factstore.core.errors import CursorExpired
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare, PutKey, RangeResult, Txn


class Head:
    """Reads the newest revision, with the epoch key.

    :ivar opened: the value of that key when the store was opened, and the epoch that follows from it.
    """

    def __init__(self, client: EtcdClient, keyspace: Keyspace) -> None:
        self._client = client
        self._keys = keyspace
        self.opened = b"", ""  # replaced at once, so that no write finds one of each store

    @property
    def store_id(self) -> bytes:
        """The value of the key when the store was opened."""
        return self.opened[0]

    def open(self, deadline: Callable[[], float]) -> tuple[bytes, int, int]:
        """Return the random id of the store, created on first use, the cluster's id, and the revision.

        :param deadline: returns that of the next call.
        """
        while True:
            found = self._client.get(self._keys.epoch, deadline=deadline())
            if found.items:
                return found.items[0].value, found.cluster_id, found.revision
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
