"""Reading all that lies below the root as it stood at one revision, beside a running service.

It changes nothing, but for what :meth:`Inspection.sweep_orphans` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from factstore.core.errors import Unavailable
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient
from factstore.store.fsck.checker import examine
from factstore.store.fsck.findings import Examination, Finding
from factstore.store.keyspace import KeyRange, Keyspace
from factstore.store.types import Compacted, Compare, KeyValue, PutKey

T = TypeVar("T")

PAGE = 500  # keys read in one call
TRIES = 5  # how often to begin anew when etcd is compacted in the middle


class Inspection:
    """Reads ranges of keys at one revision.

    :param timeout: seconds for each call.
    """

    def __init__(
        self, client: EtcdClient, keyspace: Keyspace, clock: Clock, timeout: float
    ) -> None:
        self._client = client
        self._keys = keyspace
        self._clock = clock
        self._timeout = timeout

    def examine(self) -> tuple[Examination, int]:
        """Judge everything, and tell as of which revision.

        :raises Unavailable: etcd cannot be read.
        """
        everything = [self._keys.everything]
        return self.read(everything, lambda items: examine(items, self._keys))

    def read(
        self, ranges: Sequence[KeyRange], take: Callable[[Iterator[KeyValue]], T]
    ) -> tuple[T, int]:
        """What *take* makes of all keys in the ranges, and the revision at which they stood.

        It is called again with all of them if etcd gave that revision up in the middle.

        :raises Unavailable: etcd cannot be read, or gives revisions up faster than they are read.
        """
        for _ in range(TRIES):
            revision = self._client.get(self._keys.epoch, deadline=self.soon()).revision
            try:
                return take(self._items(ranges, revision)), revision
            except Compacted:
                continue
        raise Unavailable("etcd was compacted each time before everything was read; try again.")

    def _items(self, ranges: Sequence[KeyRange], revision: int) -> Iterator[KeyValue]:
        for start, end in ranges:
            while True:
                found = self._client.get(
                    start, end, revision=revision, limit=PAGE, deadline=self.soon()
                )
                yield from found.items
                if len(found.items) < PAGE:
                    break
                start = found.items[-1].key + b"\0"

    def sweep_orphans(
        self, found: Examination, revision: int, project_id: str = ""
    ) -> tuple[Finding, ...]:
        """Mark orphans for the sweep that any worker does; one project's, or all.

        The id of a stack that did not exist at *revision* will not exist later either: an id is used
        once, and the first data come in one transaction with the record.  Only a hand could write a
        record back, later than *revision*; so an orphan is marked only if no record of its project was
        written since, and the store still lives the same life.  Nothing is marked while anything is not
        understood, for it might be what names the orphan.

        :return: those that are marked.
        """
        if not found.understood:
            return ()
        marked = []
        for finding in found.findings:
            if finding.orphan and project_id in ("", finding.orphan[0]):
                records = self._keys.stacks(finding.orphan[0])
                purge = self._keys.purge(*finding.orphan)
                guards = [
                    Compare(self._keys.epoch, "value", "==", found.life),
                    Compare(records.start, "mod", "<", revision + 1, records.end),
                    Compare(purge, "create", "==", 0),
                ]
                put = PutKey(purge, b"")
                if self._client.transact(guards, [put], deadline=self.soon())[0]:
                    marked.append(finding)
        return tuple(marked)

    def soon(self) -> float:
        """A deadline for one call."""
        return self._clock.monotonic() + self._timeout
