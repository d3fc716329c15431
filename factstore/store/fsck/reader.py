"""Reading the store at one revision while the service is running."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from factstore.core.errors import Unavailable
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient
from factstore.store.fsck.checker import check
from factstore.store.fsck.report import Finding, ProjectContents, Report
from factstore.store.key_builder import KeyRange
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compacted, KeyValue

T = TypeVar("T")

PAGE = 500  # keys read in one call
TRIES = 5  # how often to start again if etcd compacts the revision while it is being read


class StoreReader:
    """Reads ranges of keys, all at the same revision.

    :param timeout: seconds for each call, and for the longest write of the service.
    """

    def __init__(
        self,
        client: EtcdClient,
        keyspace: Keyspace,
        clock: Clock,
        timeout: float,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self._pause = pause or time.sleep
        self._client = client
        self._keys = keyspace
        self._clock = clock
        self._timeout = timeout

    def check(self) -> Report:
        """Check the whole store.

        :raises Unavailable: etcd cannot be read.
        """
        leases = self._client.leases(deadline=self.deadline())
        report = self._check([self._keys.everything])
        idle = {lease for lease in leases if self._keys.is_own_lease(lease)} - report.leases
        return replace(report, findings=(*report.findings, *self._idle_leases(idle)))

    def _idle_leases(self, candidates: Collection[int]) -> Iterator[Finding]:
        """Yield a finding for each lease that has no keys after the longest write, either."""
        if candidates:
            self._pause(self._timeout)  # a write creates its lease first
        for lease in sorted(candidates):
            if self._client.is_idle(lease, deadline=self.deadline()):
                key = f"lease {lease:x}".encode()
                yield Finding("idle_lease", key, "no key is attached to the lease", lease=lease)

    def project(self, project_id: str) -> ProjectContents:
        """Return everything whose key contains the id of a project.

        :raises Unavailable: etcd cannot be read.
        """
        report = self._check(self._keys.project(project_id))
        contents = report.projects.get(project_id, ProjectContents())
        # A key that is unknown as a whole has not been counted for the project.
        parsed = (
            self._keys.parse_strict(f.key) for f in report.findings if f.kind == "unknown_key"
        )
        unknown = sum(parsed is None for parsed in parsed)
        return replace(contents, undeletable=contents.undeletable + unknown)

    def _check(self, ranges: Sequence[KeyRange]) -> Report:
        report, revision = self.read(ranges, lambda items: check(items, self._keys))
        return replace(report, revision=revision)

    def read(
        self, ranges: Sequence[KeyRange], consume: Callable[[Iterator[KeyValue]], T]
    ) -> tuple[T, int]:
        """Return the result of *consume* for all keys in the ranges, and their revision.

        If etcd compacts the revision meanwhile, *consume* is called again with all keys.

        :raises Unavailable: etcd cannot be read, or compacts revisions faster than they are read.
        """
        for _ in range(TRIES):
            revision = self._client.get(self._keys.epoch, deadline=self.deadline()).revision
            try:
                return consume(self._items(ranges, revision)), revision
            except Compacted:
                continue
        raise Unavailable("etcd was compacted each time before all keys were read; try again.")

    def _items(self, ranges: Sequence[KeyRange], revision: int) -> Iterator[KeyValue]:
        for start, end in ranges:
            while True:
                found = self._client.get(
                    start, end, revision=revision, limit=PAGE, deadline=self.deadline()
                )
                yield from found.items
                if len(found.items) < PAGE:
                    break
                start = found.items[-1].key + b"\0"

    def deadline(self) -> float:
        """Return the deadline of a call that starts now."""
        return self._clock.monotonic() + self._timeout
