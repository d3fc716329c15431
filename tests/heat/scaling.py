"""Stacks whose groups scale, and the events of their members."""

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
"""The environment from the documentation, which switches the event sink on."""

Seen = tuple[str, str, str | None]  # the type of the event, the member and the reason


def group(size: int, *, unit: Mapping[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Return a template with a bag, a group and the policies that scale the group.

    :param unit: the resource that the group multiplies.
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
    """Return the physical ids of a group's units in Heat, by resource names."""
    return {
        resource.resource_name: resource.physical_resource_id
        for resource in user.resources(nested(user, stack, name))
        if resource.resource_status != "DELETE_COMPLETE"
    }


def scale(user: Orchestration, stack: str, policy: str, size: int, within: float = 60) -> None:
    """Signal a policy and wait until its group has a size and accepts the next signal."""
    user.signal(stack, policy)
    eventually(lambda: len(units(user, stack)) == size and _settled(user, stack), within)


def _settled(user: Orchestration, stack: str) -> bool:
    """Return whether a group has finished scaling; until then Heat ignores signals."""
    if user.show(nested(user, stack)).stack_status.endswith("_IN_PROGRESS"):
        return False
    scaled = [user.heat.resources.metadata(stack, name) for name in ("compute", "up", "down")]
    return not any(metadata.get("scaling_in_progress") for metadata in scaled)


def nested(user: Orchestration, stack: str, name: str = "compute") -> str:
    """Return the id of a resource's nested stack."""
    found: str = user.resource(stack, name).physical_resource_id
    return found


def declared(space: Stack) -> dict[str, str]:
    """Return the names of members by their declared ids."""
    return {record.declared: record.name for record in space.members() if record.declared}


def agree(user: Orchestration, stack: str, space: Stack, within: float = 60) -> list[str]:
    """Wait until the members match the units in Heat, and return their names."""

    def same() -> list[str] | None:
        wanted = {f"heat:{unit}" for unit in units(user, stack).values()}
        found = declared(space)
        return sorted(found.values()) if found.keys() == wanted else None

    found = eventually(lambda: (same(),) if same() is not None else None, within)
    return found[0] or []


def exists(space: Stack) -> bool:
    """Return whether a fact space exists."""
    try:
        space.describe()
    except NotFound:
        return False
    return True


def stored(etcd: EtcdServer, *parts: str) -> bytes:
    """Return everything that an etcd stores: ``key``, ``value`` or both of each pair."""
    everything = base64.b64encode(b"\0").decode()
    body = {"key": everything, "range_end": everything}
    answer = requests.post(f"{etcd.endpoint}/v3/kv/range", json=body, timeout=60).json()
    return b"\n".join(
        base64.b64decode(item.get(part, "")) for item in answer["kvs"] for part in parts
    )


class Warnings:
    """The warnings about factstore that a Heat logs from now on."""

    def __init__(self, heat: HeatServer) -> None:
        self._heat = heat
        self._start = len(heat.log)

    def found(self) -> list[str]:
        """Return the warnings, errors and traces that name factstore."""
        return [
            line
            for line in self._heat.log[self._start :].splitlines()
            if "factstore" in line and any(word in line for word in ("WARN", "ERROR", "TRACE"))
        ]


class MemberEvents:
    """The events of a fact space's members from now on."""

    def __init__(self, space: Stack) -> None:
        self._space = space
        self._watch = space.watch(retry_for=120)
        self._events: list[Event] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with contextlib.suppress(FactstoreError):
            for event in self._watch:
                if isinstance(event, Event):
                    self._events.append(event)

    def seen(self) -> list[Seen]:
        """Wait for all events until now, and return them in order."""
        return [(change.type, change.name or "", change.reason) for change in self.changes()]

    def changes(self) -> list[Change]:
        """Wait for all events until now, and return the changes of members in order."""
        put = self._space.put("marks/now", len(self._events))
        eventually(
            lambda: any(
                change.fact is not None and change.fact.revision == put.revision
                for event in list(self._events)
                for change in event.changes
            )
        )
        return [
            change
            for event in list(self._events)
            for change in event.changes
            if change.type.startswith("member.")
        ]

    @property
    def ended(self) -> bool:
        """Return whether the fact space was deleted."""
        return any(event.ends_stack for event in self._events)


def once(seen: Sequence[Seen], type_: str, names: Sequence[str]) -> bool:
    """Return whether these members, and no others, had one event of a type each."""
    return sorted(name for kind, name, _ in seen if kind == type_) == sorted(names)
