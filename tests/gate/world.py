"""The parts of a run: three members of etcd, two services, and the network between them.

Clients reach the services through one port, from which connections go to each in turn, as through a
proxy.  Each service reaches each member through a link of its own, and the members each other, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from factstore.client import Client, connect
from tests.etcd_cluster import EtcdCluster
from tests.gate.network import Network, owner_of
from tests.gate.witness import Witness
from tests.service import ApiServer

SERVICES = ("a", "b")
CLIENTS = "clients"
PATIENT = ("--heartbeat-interval", "200", "--election-timeout", "2000")
"""Because this process forwards what members send to each other, and is busy with its clients."""


class World:
    """Running servers.

    :param links_peers: link the members of etcd with each other too, so that they can be cut off.
    :ivar front: the URL of the services.
    """

    def __init__(
        self, directory: Path, started: ExitStack, links_peers: bool, options: dict[str, Any]
    ) -> None:
        self.directory = directory
        self.network = started.enter_context(Network())
        (directory / "etcd").mkdir(parents=True)
        self.cluster = EtcdCluster(
            directory / "etcd",
            extra_args=PATIENT if links_peers else (),
            peer_url=self._link_peer if links_peers else lambda name, url: url,
        )
        self.members = {member.name: member for member in self.cluster.members}
        started.callback(self.cluster.stop)
        self.cluster.start()
        self.cluster.wait_ready(120)
        self.witness = Witness(self.cluster.members)
        self.services: dict[str, ApiServer] = {}
        for number, name in enumerate(SERVICES):
            links = [
                self.network.link(name, [(member.name, member.endpoint)])
                for member in self.cluster.members
            ]
            order = links[number:] + links[:number]
            service = ApiServer(order, directory / f"api-{name}", **options)
            started.callback(service.kill)
            service.start(wait=False)
            self.services[name] = service
        for service in self.services.values():
            service.wait_ready()
        targets = [(name, service.url) for name, service in self.services.items()]
        self.front = self.network.link(CLIENTS, targets)

    def client(self, **options: Any) -> Client:
        """Return a client that reports each failure, instead of trying again."""
        return connect(self.front, **{"retry_for": 0, "answer_within": 25, **options})

    def _link_peer(self, name: str, url: str) -> str:
        return self.network.link(self._member_at, [(name, url)])

    def _member_at(self, port: int) -> str:
        running = {name: each.child for name, each in self.members.items() if each.child.running}
        return owner_of(port, {name: child.pid for name, child in running.items()})

    def unhandled(self) -> list[str]:
        """Return the tracebacks in the logs of the services."""
        found = []
        for log in self.directory.glob("api-*/api.log"):
            text = log.read_text(errors="replace")
            at = text.find("Traceback")
            if at >= 0:
                found.append(text[max(0, at - 300) :][:3000])
        return found


@contextmanager
def running(directory: Path, *, links_peers: bool = False, **options: Any) -> Iterator[World]:
    """Start a world, and stop it at the end."""
    with ExitStack() as started:
        yield World(directory, started, links_peers, options)
