"""The Slurm cluster of ``examples/heat``: real agents that Heat starts, scales and ends."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from factstore.client import Client, Event, Stack, errors
from factstore.cmd.processes.etcd import EtcdServer
from tests.heat.examples import example
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer

ADDRESSES = r"^NodeName=(\S+) NodeAddr=(\S+) CPUs=4 "


class Cluster:
    """The example's stack, with its servers and its fact space."""

    def __init__(self, owner: Orchestration, heat: HeatServer, bag: Stack) -> None:
        self.owner = owner
        self.bag = bag
        self.stack = ""
        self._began = ""
        self._servers = heat.state_dir / "servers"

    def units(self) -> dict[str, str]:
        """Return the physical id of each compute node that Heat has created, by the node's name."""
        group = self.owner.resource(self.stack, "compute").physical_resource_id
        found = {}
        for unit in self.owner.resources(group):
            if nested := unit.physical_resource_id:
                found[self.owner.show(nested).stack_name] = nested
        return found

    def servers(self) -> dict[str, Path]:
        """Return the directories of all servers, by name."""
        found = {"head": self.owner.resource(self.stack, "head").physical_resource_id}
        for name, nested in self.units().items():
            found[name] = self.owner.resource(nested, "server").physical_resource_id
        return {name: self._servers / server for name, server in found.items()}

    def confs(self) -> dict[str, str]:
        """Return the slurm.conf of each server."""
        files = {
            name: place / "etc" / "slurm" / "slurm.conf" for name, place in self.servers().items()
        }
        return {name: file.read_text() if file.exists() else "" for name, file in files.items()}

    def agree(self, computes: set[str], *, without: str = "") -> bool:
        """Return True if all servers but one have the same slurm.conf with these compute nodes only."""
        confs = {conf for name, conf in self.confs().items() if name != without}
        return len(confs) == 1 and set(dict(re.findall(ADDRESSES, min(confs), re.M))) == computes

    def events(self, *types: str) -> list[tuple[str, str | None]]:
        """Return the names and reasons of all events of a type."""
        now = self.bag.put("results/now", uuid.uuid4().hex).revision
        found: list[tuple[str, str | None]] = []
        with self.bag.watch(self._began, retry_for=120) as watch:
            for event in watch:
                for change in event.changes if isinstance(event, Event) else ():
                    if change.fact is not None and change.fact.revision == now:
                        return found
                    if change.type in types:
                        found.append((change.name or "", change.reason))
        raise AssertionError("the watch has ended")

    def create(self, **parameters: Any) -> None:
        """Create the stack, and wait until it is complete."""
        sent = example("slurm.yaml", environment="environment.yaml", **parameters)
        self.stack = self.owner.create(self.bag.name, **sent, expect="")
        eventually(self._exists)
        self._began = self.bag.snapshot().cursor
        try:
            self.owner.wait(self.stack, "CREATE_COMPLETE", 180)
        except StackFailed as failure:
            logs = [file.read_text() for file in self._servers.glob("*/factstore-agent.log")]
            raise StackFailed("\n".join([str(failure), *logs])) from failure

    def scale(self, policy: str, size: int) -> set[str]:
        """Signal a policy, wait until the group has that many nodes, and return their names."""
        self.owner.signal(self.stack, policy)
        eventually(lambda: len(self.units()) == size and self._idle(), 90)
        return set(self.units())

    def _idle(self) -> bool:
        """Return True if the group accepts another signal."""
        group = self.owner.resource(self.stack, "compute").physical_resource_id
        parts = ("compute", "scale_out", "scale_in")
        busy = [self.owner.heat.resources.metadata(self.stack, part) for part in parts]
        return self.owner.show(group).stack_status.endswith("_COMPLETE") and not any(
            metadata.get("scaling_in_progress") for metadata in busy
        )

    def _exists(self) -> bool:
        try:
            self.bag.describe()
        except errors.NotFound:
            return False
        return True


@pytest.fixture
def cluster(owner: Orchestration, heat: HeatServer, facts: Client, name: str) -> Cluster:
    """A cluster that is not created yet."""
    return Cluster(owner, heat, facts.stack(name))


def test_a_cluster_becomes_ready_scales_loses_a_node_and_leaves_nothing(
    cluster: Cluster, owner: Orchestration, heat: HeatServer, etcd: EtcdServer
) -> None:
    cluster.create(computes=2, ttl=10, timeout=120)
    bag, stack = cluster.bag, cluster.stack

    # Each node is one member, with its host's name and the declared id from Heat.
    units = cluster.units()
    assert len(units) == 2
    eventually(lambda: {member.state for member in bag.members()} == {"ready"})
    members = {member.name: member for member in bag.members()}
    assert members.keys() == {"head", *units}
    assert {name: member.group for name, member in members.items()} == {
        "head": "head",
        **dict.fromkeys(units, "compute"),
    }
    assert {name: members[name].declared for name in units} == {
        name: f"heat:{nested}" for name, nested in units.items()
    }
    assert sorted(name for name, _ in cluster.events("member.join")) == sorted(members)
    assert [name for name, _ in cluster.events("waiter.met")] == ["cluster-ready"]

    # All nodes have the same slurm.conf with their published addresses, and restarted their daemons.
    assert cluster.agree(set(units))
    nodes = bag.context().facts["nodes"]
    conf = cluster.confs()["head"]
    addresses = {name: nodes[name]["ip"] for name in units}
    assert dict(re.findall(ADDRESSES, conf, re.M)) == addresses
    assert re.findall(r"^SlurmctldHost=(.*)$", conf, re.M) == [f"head({nodes['head']['ip']})"]
    for name, place in cluster.servers().items():
        daemon = "slurmctld" if name == "head" else "slurmd"
        commands = (place / "systemctl.log").read_text().splitlines()
        assert set(commands) == {
            "daemon-reload",
            "enable --now factstore-agent",
            f"restart {daemon}",
        }

    assert owner.output(stack, "head_address") == nodes["head"]["ip"]
    assert owner.output(stack, "members").keys() == members.keys()
    assert owner.output(stack, "state") == "met"

    # One policy adds a node, which appears in every slurm.conf. Another one removes a node, whose agent
    # has no time to depart.
    grown = cluster.scale("scale_out", 3)
    (newcomer,) = grown - units.keys()
    eventually(lambda: cluster.agree(grown), 90)
    assert [name for name, _ in cluster.events("member.join")[3:]] == [newcomer]
    # The agent may have joined before Heat declared the member, so the reason can follow later.
    eventually(
        lambda: [each.reason for each in bag.members() if each.name == newcomer] == ["scaled_out"]
    )
    shrunk = cluster.scale("scale_in", 2)
    (left,) = grown - shrunk
    eventually(lambda: cluster.agree(shrunk), 90)
    assert cluster.events("member.depart") == [(left, "scaled_in")]

    # A node whose agent dies is removed from every slurm.conf; Heat still expects its member.
    victim = min(shrunk)
    agent = int((cluster.servers()[victim] / "factstore-agent.pid").read_text())
    os.kill(agent, signal.SIGKILL)
    eventually(lambda: cluster.agree(shrunk - {victim}, without=victim), 90)
    assert [name for name, reason in cluster.events("member.change") if reason == "expired"] == [
        victim
    ]
    assert cluster.events("member.expire") == []
    assert [name for name, _ in cluster.events("waiter.met")] == ["cluster-ready"]

    # The deletion leaves no process and no key in etcd.
    identifier = bag.describe().id
    assert stored(etcd, identifier)
    owner.delete(stack, within=120)
    assert not running(heat.state_dir / "servers")
    eventually(lambda: not stored(etcd, identifier))


def test_a_cluster_fails_as_soon_as_a_node_reports_a_failure(
    owner: Orchestration, name: str
) -> None:
    sent = example("slurm.yaml", environment="environment.yaml", computes=1)
    (hook,) = [file for file in sent["files"] if file.endswith("/10-slurm")]
    sent["files"][hook] = '#!/bin/sh\ntest "$FACTSTORE_GROUP" = head\n'
    with pytest.raises(
        StackFailed, match=rf"cluster-ready: .* is met: results/{name}-compute-\S+/agent/state"
    ):
        owner.create(name, **sent, within=120)


def running(servers: Path) -> list[str]:
    """Return the processes of servers, whose directories are mounted below a directory."""
    found = []
    for file in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            found += [file.parent.name] if f"upperdir={servers}/" in file.read_text() else []
    return found


def stored(etcd: EtcdServer, identifier: str) -> list[str]:
    """Keys of etcd that are, or tell, of a stack; the notes of deletions end by themselves."""
    asked = {"key": "AA==", "range_end": "AA=="}
    answer = requests.post(f"{etcd.endpoint}/v3/kv/range", json=asked, timeout=60).json()
    pairs = [
        tuple(
            base64.b64decode(pair.get(part, "")).decode(errors="replace")
            for part in ("key", "value")
        )
        for pair in answer["kvs"]
    ]
    return [key for key, value in pairs if identifier in key + value and "/acts/" not in key]
