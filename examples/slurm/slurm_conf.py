"""slurm.conf from a stack's context."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_TEMPLATE = """\
# Written by node.py from the facts of stack {cluster}; do not edit.
ClusterName={cluster}
SlurmctldHost={head.name}({head.address})
SlurmUser=slurm
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd.%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.%n.pid
{nodes}
PartitionName=compute Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Node:
    """A node as its own facts describe it.

    :param cpus: None for a node that does not compute.
    """

    name: str
    address: str
    cpus: int | None


@dataclass(frozen=True)
class Cluster:
    """What a slurm.conf is made of; equal clusters make equal texts."""

    name: str
    head: Node
    computes: tuple[Node, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any], head: str) -> Cluster | None:
        """The cluster that a context describes.

        :param head: the name of the head node.
        :return: None while it has no head, or no node that computes.
        """
        nodes = {
            name: node
            for name, facts in document["facts"].get("nodes", {}).items()
            if (node := _node(name, facts)) is not None
        }
        computes = tuple(nodes[name] for name in sorted(nodes) if nodes[name].cpus is not None)
        if head not in nodes or not computes:
            return None
        return cls(document["stack"], nodes[head], computes)

    def slurm_conf(self) -> str:
        """The text of the file."""
        return _TEMPLATE.format(
            cluster=self.name,
            head=self.head,
            nodes="\n".join(
                f"NodeName={node.name} NodeAddr={node.address} CPUs={node.cpus} State=UNKNOWN"
                for node in self.computes
            ),
            names=",".join(node.name for node in self.computes),
        )


def _node(name: str, facts: Any) -> Node | None:
    """A node, or None if its facts are not yet, or not, what they should be.

    The file configures daemons that run as root: no other node may add lines to it.
    """
    if not isinstance(facts, dict) or not _NAME.fullmatch(name):
        return None
    cpus = facts.get("cpus")
    if cpus is not None and (type(cpus) is not int or cpus < 1):
        return None
    try:
        address = str(ipaddress.ip_address(facts["ip"]))
    except (KeyError, ValueError):
        return None
    return Node(name, address, cpus)
