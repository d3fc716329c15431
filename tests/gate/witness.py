"""The revisions of the store, as each member of etcd returns them to a raw watch."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from factstore.cmd.processes.etcd import EtcdServer
from factstore.store.keyspace import Keyspace
from tests.eventually import eventually
from tests.faults.checker import Held, RawChange, Scope
from tests.faults.etcd_gateway import RawEtcd
from tests.gate.recording import Step

T = TypeVar("T")

FILLER = base64.b64encode(b"/filler").decode()
FILLER_BYTES = 1_000_000


class Steps:
    """The revisions that one member has returned."""

    def __init__(self) -> None:
        self.revision = 0
        self.steps: list[Step] = []

    def feed(self, revision: int, changes: Sequence[RawChange]) -> None:
        """Add a whole revision; those known already are ignored."""
        if revision > self.revision:
            self.revision = revision
            self.steps.append((revision, tuple(changes)))


class Witness:
    """Raw watches of all members."""

    def __init__(self, members: Sequence[EtcdServer]) -> None:
        self._members = members
        self._raws = [RawEtcd(member.endpoint) for member in members]
        self._seen = [Steps() for _ in members]

    @property
    def keyspace(self) -> Keyspace:
        """The layout of the keys."""
        return self._raws[0].keyspace

    @property
    def raw(self) -> RawEtcd:
        """The first member."""
        return self._raws[0]

    def catch_up(self) -> int:
        """Bring all watches to the present; return the revision that all have seen."""
        for raw, seen in zip(self._raws, self._seen, strict=True):
            _repeated(lambda r=raw, s=seen: r.witness(s))
        return min(seen.revision for seen in self._seen)

    def compact(self, revision: int) -> None:
        """Delete the history before a revision that all watches have seen."""
        _repeated(lambda: self.raw.compact(revision))

    def facts(self, scope: Scope) -> dict[str, Held]:
        """Return the facts in a stack's keys."""
        return _repeated(lambda: self.raw.facts(scope))

    def defragment(self, member: EtcdServer) -> None:
        """Defragment the data of a member."""
        _repeated(lambda: RawEtcd(member.endpoint).call("/v3/maintenance/defragment", {}))

    def size(self) -> int:
        """Return the bytes of the first member's database."""
        return int(_repeated(lambda: self.raw.call("/v3/maintenance/status", {}))["dbSize"])

    def keep_room(self, most: int) -> None:
        """Do what operators do regularly, if the database has more than some bytes."""
        if self.size() > most:
            self.free_space()

    def fill(self, size: int) -> None:
        """Let the database grow to a size in bytes, by a key that the service does not know."""
        # The size that etcd reports lags behind, so it is read only once.
        for _ in range((size - self.size()) // FILLER_BYTES):
            value = base64.b64encode(os.urandom(FILLER_BYTES)).decode()
            body = {"key": FILLER, "value": value}
            _repeated(lambda b=body: self.raw.call("/v3/kv/put", b))
        _repeated(lambda: self.raw.call("/v3/kv/deleterange", {"key": FILLER}))

    def replace_member(self, leader: EtcdServer, name: str, peer: str) -> None:
        """Let a member leave the cluster, and let one without data join in its place."""
        raw = RawEtcd(leader.endpoint)
        members = _repeated(lambda: raw.call("/v3/cluster/member/list", {}))["members"]
        (former,) = (each["ID"] for each in members if each.get("name") == name)
        for path, body in (("remove", {"ID": former}), ("add", {"peerURLs": [peer]})):
            _repeated(lambda p=path, b=body: raw.call(f"/v3/cluster/member/{p}", b))

    def alarms(self) -> list[dict[str, str]]:
        """Return the alarms that members have raised."""
        answer = _repeated(lambda: self.raw.call("/v3/maintenance/alarm", {"action": "GET"}))
        found: list[dict[str, str]] = answer.get("alarms", [])
        return found

    def free_space(self) -> None:
        """Do what etcd's documentation demands when a store is full: compact, defragment, disarm."""
        self.compact(self.catch_up())
        for member in self._members:
            self.defragment(member)
        for alarm in self.alarms():
            body = {**alarm, "action": "DEACTIVATE"}
            _repeated(lambda b=body: self.raw.call("/v3/maintenance/alarm", b))

    def agreed(self) -> list[Step]:
        """Return the revisions of the store once all members have returned the same."""

        def are_equal() -> bool:
            # A write whose writer has given up may still be applied between two reads.
            self.catch_up()
            return len({seen.revision for seen in self._seen}) == 1

        eventually(are_equal)
        first = self._seen[0].steps
        for seen in self._seen[1:]:
            assert seen.steps == first, "two members of etcd have different histories"
        return first

    def hashes(self) -> dict[str, Any]:
        """Return the hash of each member's data at one revision.

        A hash covers what the last compaction has left, so only those with the same one can be
        compared, and a member can be late to compact.
        """
        revision = str(self._seen[0].revision)
        found: list[dict[str, Any]] = []

        def compacted_alike() -> bool:
            found[:] = [
                _repeated(lambda r=raw: r.call("/v3/maintenance/hash", {"revision": revision}))
                for raw in self._raws
            ]
            return len({each.get("compact_revision") for each in found}) == 1

        eventually(compacted_alike, 60)
        return {str(number): each["hash"] for number, each in enumerate(found)}


def _repeated(call: Callable[[], T]) -> T:
    """Return the result of a call, which is repeated while etcd has no answer to it."""
    found: list[T] = []

    def ask() -> bool:
        try:
            found.append(call())
        except OSError:
            return False
        return True

    eventually(ask, 60)
    return found[0]
