"""The items of a watch as immutable records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factstore.client.alarm import AlarmRecord
from factstore.client.member import MemberRecord
from factstore.client.records import Fact
from factstore.client.waiter import WaiterRecord

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Change:
    """One change in an event.

    :param type: such as ``fact.put``, ``fact.delete``, ``fact.expire``, ``stack.delete``; further
        types may be added.
    :param path: the path of the fact; None for a change of anything but a fact.
    :param fact: the fact after the change; None if it was deleted or has expired.
    :param previous: the fact before the change, if the service knows it.
    :param by: the id of the user who made the change; None for an expiry.
    :param name: the name of the member, waiter or alarm.
    :param member: the member after the change; None if it has expired.
    :param former: the member before the change, if it existed.
    :param waiter: the waiter after its end.
    :param reason: why the member departed or expired, the waiter ended, or the alarm changed.
    :param alarm: the alarm after its change.
    :param stack: the name of the stack; only in a watch of many stacks.
    :param project_id: the project of the stack; only in a watch of many stacks.
    :param flapping: of ``stack.flapping``: the path that is changed again and again, with ``times``,
        ``paths`` and ``writers``.
    """

    type: str
    path: str | None
    fact: Fact | None
    previous: Fact | None
    by: str | None
    request_id: str | None
    name: str | None = None
    member: MemberRecord | None = None
    former: MemberRecord | None = None
    waiter: WaiterRecord | None = None
    reason: str | None = None
    alarm: AlarmRecord | None = None
    stack: str | None = None
    project_id: str | None = None
    flapping: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the change in a document."""
        fact, previous = document.get("fact"), document.get("previous")
        member, waiter = document.get("member"), document.get("waiter")
        alarm = document.get("alarm")
        of_member = str(document["type"]).startswith("member.")
        return cls(
            type=document["type"],
            path=document.get("path"),
            fact=Fact.parse(fact) if fact is not None else None,
            previous=Fact.parse(previous) if previous is not None and not of_member else None,
            by=document.get("by"),
            request_id=document.get("request_id"),
            name=document.get("name"),
            member=MemberRecord.parse(member) if member is not None else None,
            former=MemberRecord.parse(previous) if previous is not None and of_member else None,
            waiter=WaiterRecord.parse(waiter) if waiter is not None else None,
            reason=document.get("reason"),
            alarm=AlarmRecord.parse(alarm) if alarm is not None else None,
            stack=document.get("stack"),
            project_id=document.get("project_id"),
            flapping=document.get("flapping"),
        )


@dataclass(frozen=True)
class Event:
    """All changes of one revision that match the filters of the watch, in one stack or in many.

    :param cursor: resume from here to receive the following events.
    """

    cursor: str
    changes: tuple[Change, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the event in a document."""
        changes = tuple(Change.parse(change) for change in document["changes"])
        return cls(document["cursor"], changes)

    @property
    def ends_stack(self) -> bool:
        """True if the event deletes the stack."""
        return any(change.type == "stack.delete" for change in self.changes)


@dataclass(frozen=True)
class Snapshot:
    """The facts, members, waiters and alarms at one revision that match the filters.

    :param facts: in the order of their paths.
    :param cursor: watch from here to miss no change.
    :param reset: why everything received before must be discarded; None for a first snapshot.
    :param members: the live members, in the order of their names; only in snapshots of a watch.
    :param waiters: in the order of their names; only in snapshots of a watch.
    :param alarms: in the order of their names; only in snapshots of a watch.
    """

    facts: tuple[Fact, ...]
    cursor: str
    reset: str | None = None
    members: tuple[MemberRecord, ...] = ()
    waiters: tuple[WaiterRecord, ...] = ()
    alarms: tuple[AlarmRecord, ...] = ()


@dataclass(frozen=True)
class StackContents:
    """The facts, members, waiters and alarms of one of many stacks that match the filters."""

    project_id: str
    stack: str
    facts: tuple[Fact, ...] = ()
    members: tuple[MemberRecord, ...] = ()
    waiters: tuple[WaiterRecord, ...] = ()
    alarms: tuple[AlarmRecord, ...] = ()


@dataclass(frozen=True)
class StacksSnapshot:
    """All stacks of a watch at one revision.

    :param stacks: the stacks, in the order of their projects and names.
    :param cursor: watch from here to miss no change.
    :param reset: why everything received before must be discarded; None for a first snapshot.
    """

    stacks: tuple[StackContents, ...]
    cursor: str
    reset: str | None = None


@dataclass(frozen=True)
class Bookmark:
    """Everything up to the cursor has been delivered."""

    cursor: str
