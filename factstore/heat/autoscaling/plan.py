"""What of a Heat stack is a member: a pure rule over a tree of resources.

It knows neither Heat nor factstore.  A tree says how things are; :func:`instances` says which of its
resources stand for members, and :func:`steps` what is to be done so that the members are those.

Two kinds of resources stand for members:

* a *unit*: what a group of instances multiplies, be it a server, a nested stack or anything else;
* a *server* that is not below a unit.

Whatever is below a unit is a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

GROUPS = frozenset(
    {
        "OS::Heat::AutoScalingGroup",
        "OS::Heat::ResourceGroup",
        "OS::Heat::InstanceGroup",
        "AWS::AutoScaling::AutoScalingGroup",
    }
)
"""Types whose nested stacks hold units."""

SERVERS = frozenset({"OS::Nova::Server", "AWS::EC2::Instance", "OS::Heat::DeployedServer"})
"""Types that are servers."""

WORD = "heat:"
"""How what Heat declares begins."""

Standing = Literal["in", "unchanged", "going", "gone", "failed", "suspended"]
"""Whether an instance is to be a member.  *unchanged*: whatever it is now, for the moment."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource.

    :param name: its name in the template.
    :param id: its physical id, or whatever names it as long as it has none.
    :param types: what the template calls its type, and what that is in the end.
    :param state: ``(action, status)``, such as ``("CREATE", "COMPLETE")``.
    :param known_as: what the instance itself would say its name is.
    :param replaced: another resource of the same name takes its place; *replaces*: it is that other.
    :param nested: the stack that is behind it.
    """

    name: str
    id: str
    types: tuple[str, ...]
    state: tuple[str, str]
    known_as: str
    replaced: bool = False
    replaces: bool = False
    nested: Stack | None = None

    @property
    def groups(self) -> bool:
        """Whether what is in its nested stack are units."""
        return not GROUPS.isdisjoint(self.types)

    @property
    def serves(self) -> bool:
        """Whether it is a server."""
        return not SERVERS.isdisjoint(self.types)


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack's own resources; further stacks are behind them.

    :param unit_of: the name of the group whose units the resources are; None if it is no group's.
    """

    name: str
    resources: tuple[Resource, ...] = ()
    unit_of: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A resource that stands for a member.

    :param word: as what it is declared.
    :param name: the member's name; None if nothing of what it is known as can be one.
    :param reason: why it joins, or departs, if it does now.
    """

    word: str
    name: str | None
    group: str
    attributes: Mapping[str, Any]
    standing: Standing
    reason: str
    replaced: bool = False
    known_as: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A member that there is.

    :param declared: as what; None if nobody declared it.
    :param adopted: somebody joined as it, and keeps it alive.
    """

    name: str
    group: str
    state: str
    declared: str | None
    adopted: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    :param verb: ``declare``, ``drain`` or ``depart``.
    :param instance: what is declared; None with the other verbs.
    """

    verb: Literal["declare", "drain", "depart"]
    name: str
    word: str
    reason: str
    instance: Instance | None = None


def instances(tree: Stack, groups: Collection[str] | None = None) -> Iterator[Instance]:
    """The resources of a tree that stand for members, or stood for one until lately.

    :param groups: which groups alone; None for all.
    """
    for resource in tree.resources:
        group = tree.unit_of or (resource.name if resource.serves else None)
        if group is None:
            if resource.nested is not None:
                yield from instances(resource.nested, groups)
        elif groups is None or group in groups:
            yield _instance(resource, tree.name, group)


def _instance(resource: Resource, stack: str, group: str) -> Instance:
    standing = _standing(*resource.state)
    return Instance(
        word=word(resource.id),
        name=fitting(resource.known_as),
        group=fitting(group) or "unnamed",
        attributes={
            "resource_type": resource.types[0],
            "resource_name": resource.name,
            "stack": stack,
        },
        standing=standing,
        reason=_reason(resource, standing),
        replaced=resource.replaced,
        known_as=resource.known_as,
    )


def _standing(action: str, status: str) -> Standing:
    if status == "FAILED":
        return "failed"
    if action == "DELETE":
        return "gone" if status == "COMPLETE" else "going"
    if status != "COMPLETE" or action == "INIT":
        return "unchanged"
    return "suspended" if action == "SUSPEND" else "in"


def _reason(resource: Resource, standing: Standing) -> str:
    if standing in ("failed", "suspended"):
        return standing
    if standing in ("going", "gone"):
        return "replaced" if resource.replaced else "scaled_in"
    if resource.replaces:
        return "replaced"
    return "resumed" if resource.state[0] == "RESUME" else "scaled_out"


def word(identifier: str) -> str:
    """As what the member of a resource is declared."""
    printable = re.sub(r"[^\x20-\x7e]", "-", identifier)
    return f"{WORD}{printable}"[:255]


def fitting(name: str) -> str | None:
    """A name as a member or a group may have it; None if nothing is left of it.

    What names cannot hold becomes ``-``, as it does in host names.
    """
    cut = re.sub(r"[^A-Za-z0-9_.:@-]+", "-", name).lstrip(".:@-")
    return cut[:128] or None


def steps(
    wanted: Iterable[Instance],
    members: Iterable[Known],
    *,
    gone: Mapping[str, str] | None = None,
    alive: Collection[str] | None = None,
) -> tuple[list[Step], list[Instance]]:
    """What is to be done so that members are what instances are.

    :param wanted: the instances that were looked at.
    :param members: all that there are.
    :param gone: words of which there is no instance any more, and why they depart.
    :param alive: words that somebody may depend on though they are not wanted; None if what is not
        wanted was not looked at, and is left alone.
    :return: the steps, departures first, and who cannot join because the name is another's.
    """
    wanted = list(wanted)
    members = list(members)
    declared = {known.declared: known for known in members if known.declared is not None}
    named = {known.name: known for known in members}
    departs: dict[str, Step] = {}
    joins: list[Step] = []
    clashes: list[Instance] = []

    def depart(known: Known, reason: str) -> None:
        assert known.declared is not None  # noqa: S101 - it was found by it
        departs[known.name] = Step("depart", known.name, known.declared, reason)

    by_word = {instance.word: instance for instance in wanted}
    for instance in wanted:
        known = declared.get(instance.word)
        if known is None:
            continue
        if instance.standing in ("gone", "failed", "suspended"):
            depart(known, instance.reason)
        elif instance.standing == "going":
            if not known.adopted:  # else it would join again while its machine is torn down
                depart(known, instance.reason)
        elif instance.standing == "in" and instance.name not in (known.name, None):
            depart(known, "replaced")
    for gone_word, reason in (gone or {}).items():
        known = declared.get(gone_word)
        if known is not None and gone_word not in by_word:
            depart(known, reason)
    if alive is not None:
        for known_word, known in declared.items():
            if known_word.startswith(WORD) and known_word not in by_word | dict.fromkeys(alive):
                depart(known, _why_gone(known, wanted))

    for instance in wanted:
        if instance.standing != "in" or instance.name is None:
            continue
        known = named.get(instance.name)
        if known is not None and known.name not in departs and known.declared is not None:
            if known.declared != instance.word:
                other = by_word.get(known.declared)
                if other is None or not other.replaced:
                    clashes.append(instance)
                    continue
                depart(known, "replaced")
            elif known.adopted or (
                known.group == instance.group and known.attributes == instance.attributes
            ):
                continue
        taken = instance.name in departs or any(
            step.word == instance.word for step in departs.values()
        )
        reason = "replaced" if taken else instance.reason
        if any(step.name == instance.name for step in joins):
            clashes.append(instance)
        else:
            joins.append(Step("declare", instance.name, instance.word, reason, instance))

    drains = [
        Step("drain", known.name, instance.word, instance.reason)
        for instance in wanted
        if instance.standing == "going"
        and (known := declared.get(instance.word)) is not None
        and known.name not in departs
        and known.state != "draining"
    ]
    return [*departs.values(), *drains, *joins], clashes


def _why_gone(known: Known, wanted: Iterable[Instance]) -> str:
    """Why a member departs of whose resource nothing is left."""
    place = _place(known.attributes)
    taken = place is not None and any(
        instance.standing in ("in", "unchanged") and _place(instance.attributes) == place
        for instance in wanted
    )
    return "replaced" if taken else "scaled_in"


def _place(attributes: Mapping[str, Any]) -> tuple[Any, Any] | None:
    stack, name = attributes.get("stack"), attributes.get("resource_name")
    return None if stack is None or name is None else (stack, name)
