"""The parts of a snapshot, collected until the whole snapshot has arrived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from factstore.client.alarm import AlarmRecord
from factstore.client.events import Snapshot, StackContents, StacksSnapshot
from factstore.client.member import MemberRecord
from factstore.client.records import Fact
from factstore.client.waiter import WaiterRecord

if TYPE_CHECKING:
    _Others = tuple[tuple[MemberRecord, ...], tuple[WaiterRecord, ...], tuple[AlarmRecord, ...]]


class _Contents:
    """The parts of one stack."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.members: list[MemberRecord] = []
        self.waiters: list[WaiterRecord] = []
        self.alarms: list[AlarmRecord] = []

    def add(self, content: Mapping[str, Any]) -> None:
        """Add the content of a frame.  Earlier versions of the service send facts only."""
        self.facts += map(Fact.parse, content["facts"])
        self.members += map(MemberRecord.parse, content.get("members", ()))
        self.waiters += map(WaiterRecord.parse, content.get("waiters", ()))
        self.alarms += map(AlarmRecord.parse, content.get("alarms", ()))

    @property
    def others(self) -> _Others:
        """Everything but the facts."""
        return tuple(self.members), tuple(self.waiters), tuple(self.alarms)


class SnapshotParts:
    """The parts of one stack's snapshot."""

    def __init__(self) -> None:
        self._contents = _Contents()

    def add(self, content: Mapping[str, Any]) -> None:
        """Add the content of a frame."""
        self._contents.add(content)

    def whole(self, cursor: str, reset: str | None) -> Snapshot:
        """Return the snapshot."""
        found = self._contents
        return Snapshot(tuple(found.facts), cursor, reset, *found.others)


class StacksSnapshotParts:
    """The parts of a snapshot of many stacks."""

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str], _Contents] = {}

    def add(self, content: Mapping[str, Any]) -> None:
        """Add the content of a frame, which is a part of one stack."""
        key = content["project_id"], content["stack"]
        self._stacks.setdefault(key, _Contents()).add(content)

    def whole(self, cursor: str, reset: str | None) -> StacksSnapshot:
        """Return the snapshot."""
        stacks = tuple(
            StackContents(project_id, stack, tuple(found.facts), *found.others)
            for (project_id, stack), found in self._stacks.items()
        )
        return StacksSnapshot(stacks, cursor, reset)
