"""Stacks whose groups scale, and what a watch tells of their members."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import yaml

from factstore.client import Change, Event, Stack
from factstore.client.errors import FactstoreError, NotFound
from factstore.cmd.processes.etcd import EtcdServer
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer

_ROOT = Path(__file__).parents[2]
SNIPPET: dict[str, Any] = yaml.safe_load((_ROOT / "etc/heat/environment.yaml").read_text())
"""What users are told to give beside their template."""

Said = tuple[str, str, str | None]


def group(size: int, *, unit: Mapping[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """A template with a bag, a group that scales and the policies that scale it.

    :param unit: what the group multiplies.
    :param others: further resources.
    """
    return {
        "heat_template_version": "2021-04-16",
        "resources": {
            "bag": {"type": "OS::FactStore::DataBag"},
            "compute": {
                "type": "OS::Heat::AutoScalingGroup",
                "properties": {
                    "min_size": 0,
                    "max_size": 10,
                    "desired_capacity": size,
                    "resource": unit or {"type": "OS::Heat::RandomString"},
                },
            },
            "up": _policy(2),
            "down": _policy(-1),
            **others,
        },
    }


def _policy(by: int) -> dict[str, Any]:
    return {
        "type": "OS::Heat::ScalingPolicy",
        "properties": {
            "adjustment_type": "change_in_capacity",
            "auto_scaling_group_id": {"get_resource": "compute"},
            "scaling_adjustment": by,
        },
    }


def units(user: Orchestration, stack: str, name: str = "compute") -> dict[str, str]:
    """The units of a group as Heat lists them: physical ids by resource names."""
    return {
        resource.resource_name: resource.physical_resource_id
        for resource in user.resources(nested(user, stack, name))
        if resource.resource_status != "DELETE_COMPLETE"
    }


def scale(user: Orchestration, stack: str, policy: str, size: int, within: float = 60) -> None:
    """Signal a policy and wait until its group has a size, and would hear the next signal."""
    user.signal(stack, policy)
    eventually(lambda: len(units(user, stack)) == size and _settled(user, stack), within)


def _settled(user: Orchestration, stack: str) -> bool:
    """Whether a group is done with what it did; until then Heat passes over what it is told."""
    if user.show(nested(user, stack)).stack_status.endswith("_IN_PROGRESS"):
        return False
    scaled = [user.heat.resources.metadata(stack, name) for name in ("compute", "up", "down")]
    return not any(metadata.get("scaling_in_progress") for metadata in scaled)


def nested(user: Orchestration, stack: str, name: str = "compute") -> str:
    """The id of the stack behind a resource."""
    found: str = user.resource(stack, name).physical_resource_id
    return found


def words(space: Stack) -> dict[str, str]:
    """The names of members by what they are declared as."""
    return {record.declared: record.name for record in space.members() if record.declared}


def agree(user: Orchestration, stack: str, space: Stack, within: float = 20) -> list[str]:
    """Wait until the members are the units that Heat lists; their names."""

    def same() -> list[str] | None:
        wanted = {f"heat:{unit}" for unit in units(user, stack).values()}
        found = words(space)
        return sorted(found.values()) if found.keys() == wanted else None

    found = eventually(lambda: (same(),) if same() is not None else None, within)
    return found[0] or []


def exists(space: Stack) -> bool:
    """Whether there is such a fact space."""
    try:
        space.describe()
    except NotFound:
        return False
    return True


def stored(etcd: EtcdServer, *parts: str) -> bytes:
    """All that an etcd stores, one after the other: ``key``, ``value`` or both of each."""
    everything = base64.b64encode(b"\0").decode()
    body = {"key": everything, "range_end": everything}
    answer = requests.post(f"{etcd.endpoint}/v3/kv/range", json=body, timeout=10).json()
    return b"\n".join(
        base64.b64decode(item.get(part, "")) for item in answer["kvs"] for part in parts
    )


class Complaints:
    """What a Heat complains of from now on, as far as it has to do with factstore."""

    def __init__(self, heat: HeatServer) -> None:
        self._heat = heat
        self._start = len(heat.log)

    def found(self) -> list[str]:
        """Warnings, errors and traces that name factstore."""
        return [
            line
            for line in self._heat.log[self._start :].splitlines()
            if "factstore" in line and any(word in line for word in ("WARN", "ERROR", "TRACE"))
        ]


class Watching:
    """What is told of a fact space's members from now on."""

    def __init__(self, space: Stack) -> None:
        self._space = space
        self._watch = space.watch(retry_for=30)
        self._events: list[Event] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with contextlib.suppress(FactstoreError):
            for event in self._watch:
                if isinstance(event, Event):
                    self._events.append(event)

    def said(self) -> list[Said]:
        """``(what happened, the member's name, the reason)`` of all that was told, in order."""
        return [(change.type, change.name or "", change.reason) for change in self._told()]

    def upto_now(self) -> list[Said]:
        """The same, once all that has happened by now was told."""
        self.changes()
        return self.said()

    def changes(self) -> list[Change]:
        """All that was told of members, once all that has happened by now was told."""
        put = self._space.put("marks/now", len(self._events))
        eventually(
            lambda: any(
                change.fact is not None and change.fact.revision == put.revision
                for event in list(self._events)
                for change in event.changes
            )
        )
        return self._told()

    def _told(self) -> list[Change]:
        return [
            change
            for event in list(self._events)
            for change in event.changes
            if change.type.startswith("member.")
        ]

    @property
    def ended(self) -> bool:
        """Whether the fact space was deleted."""
        return any(event.ends_stack for event in self._events)


def once(said: Sequence[Said], type_: str, names: Sequence[str]) -> bool:
    """Whether each of the names, and no other, was told of with a type exactly once."""
    return sorted(name for told, name, _ in said if told == type_) == sorted(names)
