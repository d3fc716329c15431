"""The filter of a watch: which changes, and which parts of a snapshot, a reader receives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from factstore.core.model.alarm import Alarm
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Fact
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.member import Member
from factstore.core.model.path import check_name, check_path, covers
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Filter:
    """The changes that a reader requests and may read.

    Without *types*, prefixes alone request facts only, so that the readers of a folder receive nothing
    else; groups then add their members, and names of alarms those alarms.

    :param prefixes: only facts at or below one of these paths; empty for all.
    :param types: only these change types; empty for all.
    :param permissions: of the reader; facts that it may not read are left out.
    :param groups: only members of these groups; empty for all.
    :param alarms: only alarms with these names; empty for all.
    :param many: True for many stacks: the deletion of a stack does not end the watch, and is a change
        that *types* may leave out.
    """

    prefixes: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    permissions: Permissions = OWNER
    groups: tuple[str, ...] = ()
    many: bool = False
    alarms: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise Invalid if a prefix is not a path, or a group or an alarm not a name."""
        for prefix in self.prefixes:
            check_path(prefix, what="prefix")
        for group in self.groups:
            check_name(group, "group")
        for alarm in self.alarms:
            check_name(alarm, "alarm")

    def ends(self, event: Event) -> bool:
        """Return True if nothing follows an event."""
        return not self.many and event.ends_stack

    def apply(self, event: Event) -> Event | None:
        """Return the event with only the wanted changes, or None if it has none."""
        narrowed = self.prefixes or self.types or self.groups or self.alarms
        if not narrowed and self.permissions.unrestricted:
            return event
        wanted = tuple(change for change in event.changes if self._wants(change))
        if len(wanted) == len(event.changes):
            return event
        return replace(event, changes=wanted, memo={}) if wanted else None

    def facts(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        """Return the facts of a snapshot."""
        if not self._includes("fact"):
            return ()
        return tuple(fact for fact in facts if self._wants_path(fact.path))

    def members(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        """Return the members of a snapshot."""
        if not self._includes("member"):
            return ()
        return tuple(member for member in members if not self.groups or member.group in self.groups)

    @property
    def includes_waiters(self) -> bool:
        """True if a snapshot contains waiters."""
        return self._includes("waiter")

    def alarms_of(self, alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
        """Return the alarms of a snapshot."""
        return tuple(alarm for alarm in alarms if self._wants_alarm(alarm))

    def _includes(self, kind: Literal["fact", "member", "waiter", "alarm", "stack"]) -> bool:
        if self.types:
            return any(name.startswith(f"{kind}.") for name in self.types)
        named = {"member": self.groups, "alarm": self.alarms}.get(kind, ())
        return kind == "fact" or not self.prefixes or bool(named)

    def _wants(self, change: Change) -> bool:
        if change.type == "stack.delete":  # all facts are gone, whatever their path
            return not (self.many and self.types) or change.type in self.types
        if self.types and change.type not in self.types:
            return False
        if change.type.startswith("member."):
            # A member that has left the group is reported to the group's readers too.
            versions = (change.record, change.former)
            groups = {member.group for member in versions if isinstance(member, Member)}
            return self._includes("member") and (
                not self.groups or not groups.isdisjoint(self.groups)
            )
        if change.type.startswith("waiter."):
            return self._includes("waiter")
        if isinstance(change.record, FlappingReport):
            read = all(map(self.permissions.can_read, change.record.paths))
            return read and self._includes("stack")
        if change.type.startswith("stack."):
            return self._includes("stack")
        if change.type.startswith("alarm."):
            return isinstance(change.record, Alarm) and self._wants_alarm(change.record)
        return self._wants_path(change.path or "")

    def _wants_alarm(self, alarm: Alarm) -> bool:
        return self._includes("alarm") and (not self.alarms or alarm.name in self.alarms)

    def _wants_path(self, path: str) -> bool:
        covered = not self.prefixes or any(covers(prefix, path) for prefix in self.prefixes)
        return covered and self.permissions.can_read(path)
