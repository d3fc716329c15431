"""The buffer of recent writes in etcd 3.4, which makes reads slower after many writes.

etcd keeps the writes since its last commit in a buffer, which each of its reads copies.  It commits ten
times a second, if anything was written, and empties the buffer.  But the buffer keeps its room, and so
the copies keep their size, until a commit before which no key was written.  After a second with many
writes, reads then take etcd up to three times the processor time.  A lease is not a key.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from factstore.core.errors import StorageFull

MANY = 5  # revisions in one round, each of which can be thousands of keys; fewer need little room
ROUNDS = 2
"""In which a lease is made after many writes: during the first, they may not be over."""

LEASE_SECONDS = 5


class LeaseMaker(Protocol):
    """The call to etcd that makes a lease."""

    def grant(self, ttl: int, lease: int = 0, *, deadline: float) -> int: ...


class WriteBuffer:
    """Lets etcd release its buffer after many writes.

    :param revision: returns the newest revision that this worker knows.
    """

    def __init__(self, client: LeaseMaker, revision: Callable[[], int]) -> None:
        self._client = client
        self._revision = revision
        self._seen: int | None = None
        self._rounds = 0

    def release(self, deadline: float) -> None:
        """Make a lease that expires unused, if there were many writes since one of the last calls."""
        revision = self._revision()
        seen, self._seen = self._seen, revision
        if seen is not None and revision - seen >= MANY:
            self._rounds = ROUNDS
        if self._rounds:
            self._rounds -= 1
            with suppress(StorageFull):
                self._client.grant(LEASE_SECONDS, deadline=deadline)
