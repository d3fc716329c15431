"""Three members of etcd, and the faults of which the recovery is measured.

With links, members reach each other and clients reach them through ports of this process, in which
connections can be disturbed.  The service and the client of etcd use the same links.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from factstore.cmd.processes.etcd import EtcdServer
from tests.etcd_cluster import EtcdCluster
from tests.gate.network import Flow, Network, both, owner_of
from tests.gate.world import PATIENT
from tests.service import ApiServer

CLIENT = "client"
OUTAGE = 6.0
"""Seconds of a fault that nothing survives."""


class Laboratory:
    """The members; a context manager that runs them.

    :param linked: whether connections can be disturbed.
    """

    def __init__(self, directory: Path, *, linked: bool) -> None:
        self._directory = directory
        self._running = ExitStack()
        (directory / "etcd").mkdir(parents=True)
        self._linked = linked
        self._services = 0
        self.network = Network()
        if linked:
            self._running.enter_context(self.network)
        self.cluster = EtcdCluster(
            directory / "etcd",
            extra_args=PATIENT if linked else (),
            peer_url=self._link_peer if linked else lambda name, url: url,
        )
        self._urls = {
            member.name: self.network.link(CLIENT, [(member.name, member.endpoint)])
            if linked
            else member.endpoint
            for member in self.cluster.members
        }

    def __enter__(self) -> Self:
        self._running.callback(self.cluster.stop)
        self.cluster.start()
        self.cluster.wait_ready(120)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def _link_peer(self, name: str, url: str) -> str:
        return self.network.link(self._member_at, [(name, url)])

    def _member_at(self, port: int) -> str:
        members = {each.name: each.child for each in self.cluster.members if each.child.running}
        return owner_of(port, {name: child.pid for name, child in members.items()})

    def choose(self, fault: Fault) -> tuple[EtcdServer, EtcdServer]:
        """Return the member that is disturbed, and the one that the service uses."""
        leader, followers = self.cluster.leader(), self.cluster.followers()
        victim = leader if fault.leads else followers[0]
        return victim, victim if fault.own else followers[-1]

    def endpoints(self, first: EtcdServer) -> list[str]:
        """Return the URLs of all members, beginning with one."""
        return sorted(self._urls.values(), key=lambda url: url != self._urls[first.name])

    @contextmanager
    def service(self, endpoints: list[str]) -> Iterator[ApiServer]:
        """Run a service that uses the members in this order."""
        self._services += 1
        directory = self._directory / f"api-{self._services}"
        server = ApiServer(endpoints, directory, options={"etcd": {"spread": "false"}})
        try:
            server.start()
            yield server
        finally:
            server.kill()

    def others(self, member: EtcdServer) -> list[str]:
        """Return the names of the other members."""
        return [each.name for each in self.cluster.members if each is not member]

    def hold(self, *flows: Flow, reset: bool = False) -> Callable[[], object]:
        """Hold bytes back, and return a function that ends this.

        :param reset: reset the connections then.
        """
        self.network.hold(*flows)
        return lambda: self.network.heal(reset=reset)

    def for_a_while(self, end: Callable[[], object]) -> Callable[[], object]:
        """End a fault after some seconds, and return a function that waits for that."""
        timer = threading.Timer(OUTAGE, end)
        timer.start()
        return timer.join


@dataclass(frozen=True)
class Fault:
    """A fault.

    :param leads: whether the leader is disturbed, or a follower.
    :param own: whether that is the member that the service uses.
    :param disturb: causes the fault, and returns a function that ends it.
    """

    leads: bool
    own: bool
    disturb: Callable[[Laboratory, EtcdServer], Callable[[], object]]


def _kill(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    member.kill()
    return member.start


def _pause(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    member.pause()
    return member.resume


def _lose_quorum(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    lost = [each for each in lab.cluster.members if each is not member]
    for each in lost:
        each.kill()
    return lab.for_a_while(lambda: [each.start() for each in lost])


def _cut_off(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    return lab.hold(*both(*[(member.name, other) for other in lab.others(member)]))


def _silence(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    """Let nothing arrive at a follower that the leader sends."""
    return lab.hold((lab.cluster.leader().name, member.name))


def _freeze_link(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    return lab.hold(*both((CLIENT, member.name)), reset=True)


def _lose_responses(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    return lab.hold((member.name, CLIENT), reset=True)


def _cut_link(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    lab.network.refuse((CLIENT, member.name))
    return lab.network.heal


def _cut_all_links(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    lab.network.refuse(*[(CLIENT, each.name) for each in lab.cluster.members])
    return lab.for_a_while(lab.network.heal)


def _freeze_all_links(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    lab.network.hold(*both(*[(CLIENT, each.name) for each in lab.cluster.members]))
    return lab.for_a_while(lambda: lab.network.heal(reset=True))


def _slow_link(lab: Laboratory, member: EtcdServer) -> Callable[[], object]:
    lab.network.slow(0.2, 50_000, *both((CLIENT, member.name)))
    return lab.network.heal


FAULTS: dict[str, Fault] = {
    "kill -9 the leader": Fault(True, False, _kill),
    "kill -9 the own leader": Fault(True, True, _kill),
    "pause the leader": Fault(True, False, _pause),
    "pause the own leader": Fault(True, True, _pause),
    "kill -9 the own follower": Fault(False, True, _kill),
    "pause the own follower": Fault(False, True, _pause),
    "kill -9 two members": Fault(False, True, _lose_quorum),
}
LINK_FAULTS: dict[str, Fault] = {
    "cut the leader off": Fault(True, False, _cut_off),
    "cut the own leader off": Fault(True, True, _cut_off),
    "cut the own follower off": Fault(False, True, _cut_off),
    "silence the own follower": Fault(False, True, _silence),
    "cut the own link": Fault(False, True, _cut_link),
    "freeze the own link": Fault(False, True, _freeze_link),
    "lose responses": Fault(False, True, _lose_responses),
    "slow the own link": Fault(False, True, _slow_link),
    "cut all links": Fault(False, True, _cut_all_links),
    "freeze all links": Fault(False, True, _freeze_all_links),
}
"""Faults of connections."""
