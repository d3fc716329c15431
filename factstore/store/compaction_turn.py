"""The turn to compact, which one worker gets at a time; see :mod:`factstore.store.maintenance`."""

from __future__ import annotations

from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compare, PutKey, Txn


def try_compaction_turn(
    client: EtcdClient, keys: Keyspace, same: Compare, seen: int, deadline: float
) -> tuple[bool, int, int]:
    """Try to get the next turn to compact.

    :param same: fails in all stores but the one that is in use.
    :param seen: the version of the turn that this worker saw last; 0 for none.
    :return: True if this worker has the turn, the current version, and the revision that was
        stored at the turn before.
    """
    found = client.get(keys.compactor, deadline=deadline)
    version = found.items[0].version if found.items else 0
    noted = _revision(found.items[0].value) if found.items else 0
    if version != seen:
        return False, version, noted
    written = found.items[0].revision if found.items else 0
    unchanged = Compare(keys.compactor, "mod", "==", written)
    note = PutKey(keys.compactor, str(found.revision).encode())
    mine, _ = client.transact(Txn([same, unchanged], [note]), deadline=deadline)
    return mine, version + 1 if mine else version, noted


def _revision(note: bytes) -> int:
    """Return the stored revision; 0, which compacts nothing, if another client wrote the value."""
    return int(note) if note.isdigit() else 0
