"""What names a project, and what is left of it once its stacks are deleted.

Stacks are deleted by the service for stacks, never here: only that tells those who watch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from factstore.core.errors import Invalid
from factstore.core.model.path import check_stack_name
from factstore.core.model.record_key import COUNTED
from factstore.store import codec
from factstore.store.client import EtcdClient
from factstore.store.fsck.reader import Inspection
from factstore.store.keyspace import Keyspace
from factstore.store.types import DeleteKeys, KeyValue

CHUNK = 250  # keys deleted in one transaction: every other writer waits meanwhile


@dataclass(slots=True)
class Holdings:
    """What names a project at one revision.

    :param stacks: by name, how many facts each holds, and what counts as one.
    :param gates: how many notes there are of a write that came near a quota.
    :param sweeping: ids of deleted stacks that are still to be swept.
    :param orphans: ids that no stack has, and below which lie data that nobody is to sweep.
    :param strange: how many keys there are that the API cannot delete.
    """

    stacks: dict[str, int] = field(default_factory=dict)
    receipts: int = 0
    gates: int = 0
    sweeping: set[str] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    strange: int = 0
    revision: int = 0

    @property
    def nothing(self) -> bool:
        """Whether no key names the project."""
        return not (self.written or self.orphans or self.strange)

    @property
    def written(self) -> bool:
        """Whether there is anything that users of the API make."""
        return bool(self.stacks or self.receipts or self.gates or self.sweeping)


class Remains:
    """Looks into one project, and removes what no API deletes."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace, inspection: Inspection) -> None:
        self._client = client
        self._keys = keyspace
        self._inspection = inspection

    def holdings(self, project_id: str) -> Holdings:
        """What names the project now."""
        ranges = self._keys.project(project_id)
        found, revision = self._inspection.read(ranges, lambda items: _sort(items, self._keys))
        return replace(found, revision=revision)

    def forget(self, project_id: str) -> None:
        """Remove what belongs to no stack, in small transactions."""
        for start, end in self._keys.beside_stacks(project_id):
            while True:
                deadline = self._inspection.soon()
                found = self._client.get(start, end, limit=CHUNK, keys_only=True, deadline=deadline)
                if not found.items:
                    break
                last = found.items[-1].key + b"\0"
                self._client.transact([], [DeleteKeys(start, last)], deadline=deadline)


def _sort(items: Iterable[KeyValue], keys: Keyspace) -> Holdings:
    """What the keys are; records come before the data that they name."""
    made = Holdings()
    names: dict[str, str] = {}
    for item in items:
        named = keys.locate(item.key)
        if named is None:
            made.strange += 1
        elif named.what == "stack":
            try:
                check_stack_name(named.name)
                stack = codec.decode_stack(
                    item.value, named.owner, named.name, revision=0, created=0
                )
            except (Invalid, codec.UnknownFormat):
                made.strange += 1
            else:
                names[stack.id] = stack.name
                made.stacks[stack.name] = 0
        elif named.what in ("fact", "record") and named.stack_id in names:
            counts = named.record_key is None or named.record_key.kind in COUNTED
            made.stacks[names[named.stack_id]] += counts
        elif named.what in ("fact", "record"):
            made.orphans.add(named.stack_id)
        elif named.what == "receipt":
            made.receipts += 1
        elif named.what == "gate":
            made.gates += 1
        else:
            made.sweeping.add(named.stack_id)
    made.orphans -= made.sweeping
    return made
