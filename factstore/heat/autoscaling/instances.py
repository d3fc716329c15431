"""The rule that decides which resources of a Heat stack are members: a pure function over a tree.

This module knows neither Heat nor factstore.

Two kinds of resources are members:

* a *unit*: a resource that a group multiplies, whether a server, a nested stack or anything else;
* a *server* that is not inside a unit.

Resources inside a unit are parts of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

GROUPS = frozenset(
    {
        "OS::Heat::AutoScalingGroup",
        "OS::Heat::ResourceGroup",
        "OS::Heat::InstanceGroup",
        "AWS::AutoScaling::AutoScalingGroup",
    }
)
"""Resource types whose nested stacks contain units."""

SERVERS = frozenset({"OS::Nova::Server", "AWS::EC2::Instance", "OS::Heat::DeployedServer"})
"""Resource types that are servers."""

DECLARED_PREFIX = "heat:"
"""The beginning of the declared ids of members that Heat declares."""

Phase = Literal["active", "changing", "deleting", "deleted", "failed", "suspended"]
"""An active instance is to be a member; a changing one stays a member or not, as it is."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource.

    :param name: its name in the template.
    :param id: its physical id, or a substitute while it has none.
    :param types: the type in the template, and the type that it resolves to.
    :param state: ``(action, status)``, such as ``("CREATE", "COMPLETE")``.
    :param own_name: the name by which the instance knows itself.
    :param replaced: whether another resource of the same name replaces it.
    :param replaces: whether it replaces another resource of the same name.
    :param nested: its nested stack.
    """

    name: str
    id: str
    types: tuple[str, ...]
    state: tuple[str, str]
    own_name: str
    replaced: bool = False
    replaces: bool = False
    nested: Stack | None = None

    @property
    def is_server(self) -> bool:
        """Return True if any of its types is a server."""
        return not SERVERS.isdisjoint(self.types)


@dataclass(frozen=True, slots=True)
class Stack:
    """The resources of one stack, each with its nested stack.

    :param group: the name of the group whose units the resources are; None if they are no units.
    """

    name: str
    resources: tuple[Resource, ...] = ()
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A resource that is, was or becomes a member.

    :param declared_id: the id as which its member is declared.
    :param names: the names that its member may have, the preferred one first; none if no part of its
        own name is valid.
    :param reason: the reason for a change of the member in the present phase.
    """

    declared_id: str
    names: tuple[str, ...]
    group: str
    attributes: Mapping[str, Any]
    phase: Phase
    reason: str
    replaced: bool = False
    own_name: str = ""

    @property
    def name(self) -> str | None:
        """The preferred name of its member."""
        return self.names[0] if self.names else None


def instances(tree: Stack, groups: Collection[str] | None = None) -> Iterator[Instance]:
    """Yield the instances of a tree, deleted and failed ones included.

    :param groups: the only groups whose instances are members; None for all.
    """
    for resource in tree.resources:
        group = tree.group or (resource.name if resource.is_server else None)
        if group is None:
            if resource.nested is not None:
                yield from instances(resource.nested, groups)
        elif groups is None or group in groups:
            yield _instance(resource, tree.name, group)


def _instance(resource: Resource, stack: str, group: str) -> Instance:
    phase = _phase(*resource.state)
    return Instance(
        declared_id=declared_id(resource.id),
        names=member_names(resource.own_name),
        group=valid_name(group) or "unnamed",
        attributes={
            "resource_type": resource.types[0],
            "resource_name": resource.name,
            "stack": stack,
        },
        phase=phase,
        reason=_reason(resource, phase),
        replaced=resource.replaced,
        own_name=resource.own_name,
    )


def _phase(action: str, status: str) -> Phase:
    if status == "FAILED":
        return "failed"
    if action == "DELETE":
        return "deleted" if status == "COMPLETE" else "deleting"
    if status != "COMPLETE" or action == "INIT":
        return "changing"
    return "suspended" if action == "SUSPEND" else "active"


def _reason(resource: Resource, phase: Phase) -> str:
    if phase in ("failed", "suspended"):
        return phase
    if phase in ("deleting", "deleted"):
        return "replaced" if resource.replaced else "scaled_in"
    if resource.replaces:
        return "replaced"
    return "resumed" if resource.state[0] == "RESUME" else "scaled_out"


def declared_id(physical_id: str) -> str:
    """Return the id as which the member of a resource is declared."""
    printable = re.sub(r"[^\x20-\x7e]", "-", physical_id)
    return f"{DECLARED_PREFIX}{printable}"[:255]


def member_names(own_name: str) -> tuple[str, ...]:
    """Return the names under which the agent of an instance may join, the most probable one first.

    The agent joins under the first label of its host's name, which Nova makes of the server's name.
    Newer releases of Nova replace dots.  Earlier releases of factstore declared the name as it is.
    """
    host = _host_name(own_name)
    candidates = (host.partition(".")[0], host.replace(".", "-"), own_name)
    return tuple(dict.fromkeys(filter(None, map(valid_name, candidates))))


def _host_name(name: str) -> str:
    """Return the host name that Nova makes of a server's name; see ``sanitize_hostname`` there."""
    latin = name.encode("latin-1", "ignore").decode("latin-1")[:63]
    return re.sub(r"[^\w.-]+", "", re.sub(r"[_\s]", "-", latin)).lower().strip(".-")


def valid_name(name: str) -> str | None:
    """Return the name as a member or a group may have it, or None if no character is valid.

    Invalid characters become ``-``, as in host names.
    """
    replaced = re.sub(r"[^A-Za-z0-9_.:@-]+", "-", name).lstrip(".:@-")
    return replaced[:128] or None
