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
from factstore.cmd.processes.api import API_ARGV
from tests.etcd_cluster import EtcdCluster
from tests.gate.network import Network, owner_of
from tests.gate.witness import Witness
from tests.service import ApiServer

SERVICES = ("a", "b")
CLIENTS = "clients"
QUOTA = 32 * 1024 * 1024
"""Bytes of the database of each member of etcd."""
ETCD_ARGS = ("--quota-backend-bytes", str(QUOTA), "--snapshot-count", "1000")
PATIENT = ("--heartbeat-interval", "200", "--election-timeout", "2000")
"""Because this process forwards what members send to each other, and is busy with its clients."""


class World:
    """Running servers.

    :param links_peers: link the members of etcd with each other too, so that they can be cut off.
    :param skewed: give the last service a clock that :meth:`set_clock` moves.
    :ivar front: the URL of the services.
    """

    def __init__(
        self,
        directory: Path,
        started: ExitStack,
        links_peers: bool,
        skewed: bool,
        options: dict[str, Any],
    ) -> None:
        self.directory = directory
        self.network = started.enter_context(Network())
        (directory / "etcd").mkdir(parents=True)
        self.peers: dict[str, str] = {}
        """The URLs at which members of etcd reach each other."""
        self.cluster = EtcdCluster(
            directory / "etcd",
            extra_args=(*ETCD_ARGS, *(PATIENT if links_peers else ())),
            peer_url=self._link_peer if links_peers else self._own_peer,
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
            argv = self._skewed() if skewed and name == SERVICES[-1] else None
            service = ApiServer(order, directory / f"api-{name}", argv=argv, **options)
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

    def set_clock(self, seconds: int) -> None:
        """Move the clock of the last service to a time before or after the present."""
        partial = self._clock.with_suffix(".new")
        partial.write_text(f"{seconds:+d}\n")
        partial.replace(self._clock)

    @property
    def _clock(self) -> Path:
        return self.directory / "clock"

    def _skewed(self) -> list[str]:
        """Return the command of a service with a clock of its own; leases and timeouts keep theirs."""
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.set_clock(0)
        settings = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return ["env", *[f"{name}={value}" for name, value in settings.items()], *API_ARGV]

    def _link_peer(self, name: str, url: str) -> str:
        self.peers[name] = self.network.link(self._member_at, [(name, url)])
        return self.peers[name]

    def _own_peer(self, name: str, url: str) -> str:
        self.peers[name] = url
        return url

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
def running(
    directory: Path, *, links_peers: bool = False, skewed: bool = False, **options: Any
) -> Iterator[World]:
    """Start a world, and stop it at the end."""
    with ExitStack() as started:
        yield World(directory, started, links_peers, skewed, options)
