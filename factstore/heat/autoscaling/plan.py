"""The plan: the changes that make the members of a fact space match the instances of a tree.

This module is pure and knows neither Heat nor factstore.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from factstore.heat.autoscaling.instances import DECLARED_PREFIX, Instance, declared_id


@dataclass(frozen=True, slots=True)
class ExistingMember:
    """A member of the fact space.

    :param declared_id: None if it was not declared.
    :param adopted: whether an agent joined as this member and keeps it alive.
    """

    name: str
    group: str
    state: str
    declared_id: str | None
    adopted: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One change to make.

    :param instance: the instance to declare; None for the other verbs.
    """

    verb: Literal["declare", "drain", "depart"]
    name: str
    declared_id: str
    reason: str
    instance: Instance | None = None


def plan_changes(
    wanted: Iterable[Instance],
    members: Iterable[ExistingMember],
    *,
    departed: Mapping[str, str] | None = None,
    declared_elsewhere: Collection[str] | None = None,
) -> tuple[list[MemberChange], list[Instance]]:
    """Return the changes that make the members match the instances, departures first.

    The second value lists the instances that cannot join because another member has their name.

    :param members: all members of the fact space.
    :param departed: declared ids of instances that no longer exist, with the reason.
    :param declared_elsewhere: declared ids of instances of other trees.  None if only a part of the
        tree was read: then members without an instance stay.
    """
    planner = _Planner(list(wanted), list(members))
    planner.plan_departures(departed or {}, declared_elsewhere)
    planner.plan_joins()
    return [*planner.departures.values(), *planner.drains(), *planner.joins], planner.conflicts


class _Planner:
    def __init__(self, wanted: list[Instance], members: list[ExistingMember]) -> None:
        self._wanted = wanted
        self._instances = {instance.declared_id: instance for instance in wanted}
        self._declared = {
            member.declared_id: member for member in members if member.declared_id is not None
        }
        self._named = {member.name: member for member in members}
        self.departures: dict[str, MemberChange] = {}
        self.joins: list[MemberChange] = []
        self.conflicts: list[Instance] = []

    def plan_departures(
        self, departed: Mapping[str, str], declared_elsewhere: Collection[str] | None
    ) -> None:
        for declared, member in self._declared.items():
            instance = self._instances.get(declared)
            if instance is not None:
                if reason := _departure_reason(instance, member):
                    self._depart(declared, reason)
            elif declared in departed:
                self._depart(declared, departed[declared])
            elif (
                declared_elsewhere is not None
                and declared.startswith(DECLARED_PREFIX)
                and declared not in declared_elsewhere
            ):
                self._depart(declared, self._reason_without_instance(member))

    def plan_joins(self) -> None:
        for instance in self._wanted:
            name = self._name_of(instance)
            if instance.phase != "active" or name is None:
                continue
            member = self._staying(name)
            if member is not None and member.declared_id is not None:
                if member.declared_id == instance.declared_id:
                    if member.adopted or _matches(member, instance):
                        continue
                elif not self._is_replaced(member.declared_id):
                    self.conflicts.append(instance)
                    continue
                else:
                    self._depart(member.declared_id, "replaced")
            if self._is_joining(name):
                self.conflicts.append(instance)
            else:
                self.joins.append(self._join(instance, name))

    def _name_of(self, instance: Instance) -> str | None:
        """Return the name of an instance's member: the one that it has, or a free one.

        An agent that joined before Heat declared its member has any name; its id says whose it is.
        """
        declared = self._declared.get(instance.declared_id)
        if declared is not None and declared.name not in self.departures:
            return declared.name
        for member in self._named.values():
            if member.declared_id is None and _is_machine_of(member, instance):
                return member.name
        free = (name for name in instance.names if self._is_free(name))
        return next(free, instance.name)

    def _is_free(self, name: str) -> bool:
        member = self._staying(name)
        taken = (
            member is not None
            and member.declared_id is not None
            and not self._is_replaced(member.declared_id)
        )
        return not taken and not self._is_joining(name)

    def _staying(self, name: str) -> ExistingMember | None:
        return None if name in self.departures else self._named.get(name)

    def _is_joining(self, name: str) -> bool:
        return any(join.name == name for join in self.joins)

    def drains(self) -> Iterator[MemberChange]:
        for instance in self._wanted:
            member = self._declared.get(instance.declared_id)
            if (
                instance.phase == "deleting"
                and member is not None
                and member.name not in self.departures
                and member.state != "draining"
            ):
                yield MemberChange("drain", member.name, instance.declared_id, instance.reason)

    def _join(self, instance: Instance, name: str) -> MemberChange:
        place = _place(instance.attributes)
        replaces = name in self.departures or any(
            departure.declared_id == instance.declared_id
            # Heat forgets which resource a replacement has replaced once that is deleted.
            or (place is not None and _place(self._named[departure.name].attributes) == place)
            for departure in self.departures.values()
        )
        reason = "replaced" if replaces else instance.reason
        return MemberChange("declare", name, instance.declared_id, reason, instance)

    def _depart(self, declared: str, reason: str) -> None:
        name = self._declared[declared].name
        self.departures[name] = MemberChange("depart", name, declared, reason)

    def _is_replaced(self, declared: str) -> bool:
        instance = self._instances.get(declared)
        return instance is not None and instance.replaced

    def _reason_without_instance(self, member: ExistingMember) -> str:
        """Return ``replaced`` if another instance has the resource's place, else ``scaled_in``."""
        place = _place(member.attributes)
        taken = place is not None and any(
            instance.phase in ("active", "changing") and _place(instance.attributes) == place
            for instance in self._wanted
        )
        return "replaced" if taken else "scaled_in"


def _departure_reason(instance: Instance, member: ExistingMember) -> str | None:
    """Return the reason why an instance's member departs now, or None if it stays."""
    if instance.phase in ("deleted", "failed", "suspended"):
        return instance.reason
    # An agent whose machine is torn down would join again at once; it drains instead.
    if instance.phase == "deleting" and not member.adopted:
        return instance.reason
    renamed = bool(instance.names) and member.name not in instance.names
    if instance.phase == "active" and renamed and not _is_machine_of(member, instance):
        return "replaced"
    return None


def _is_machine_of(member: ExistingMember, instance: Instance) -> bool:
    """Return whether the member's agent reports that it runs in the instance."""
    reported = member.attributes.get("instance_id")
    return isinstance(reported, str) and declared_id(reported) == instance.declared_id


def _matches(member: ExistingMember, instance: Instance) -> bool:
    return member.group == instance.group and member.attributes == instance.attributes


def _place(attributes: Mapping[str, Any]) -> tuple[Any, Any] | None:
    stack, name = attributes.get("stack"), attributes.get("resource_name")
    return None if stack is None or name is None else (stack, name)
