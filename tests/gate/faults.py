"""The faults of a run, beside those of etcd.  Each function causes one, and returns when it is over."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.eventually import eventually
from tests.gate.deliveries import Deliveries
from tests.gate.etcd_faults import LONGER, EtcdFaults
from tests.gate.identity import Identity
from tests.gate.members import TTL, LiveMember
from tests.gate.network import both
from tests.gate.world import SERVICES, World

FAILURES = ("error", "hang", "reset", "busy")


@dataclass(frozen=True)
class Beside:
    """The parts of a run beside the cluster."""

    identity: Identity
    deliveries: Deliveries


class Faults(EtcdFaults):
    """All kinds of faults.

    :param members: members that may be paused; the others must not expire.
    :param lag: disconnects a watcher while it is called, and returns when it has missed something.
    :param beside: the parts beside the cluster; the faults of the short run need none.
    """

    def __init__(
        self,
        world: World,
        chance: random.Random,
        members: list[LiveMember],
        lag: Callable[[Callable[[], None]], None],
        beside: Beside | None = None,
    ) -> None:
        super().__init__(world, chance)
        self._beside = beside
        self._members = members
        self._lag = lag
        self.restarts = 0

    @property
    def _identity(self) -> Identity:
        assert self._beside is not None
        return self._beside.identity

    @property
    def _deliveries(self) -> Deliveries:
        assert self._beside is not None
        return self._beside.deliveries

    # Links of the services

    def service_cut_off(self) -> None:
        """One service reaches no member."""
        name = self._chance.choice(SERVICES)
        self._world.network.refuse(*[(name, member) for member in self._world.members])
        self._wait(6)
        self._world.network.heal()

    def service_cut_from_leader(self) -> None:
        """F5: one service does not reach the leader, and the members reach each other."""
        leader = self._world.cluster.leader().name
        self._world.network.hold(*both((self._chance.choice(SERVICES), leader)))
        self._wait(8)
        self._world.network.heal(reset=True)

    def half_open(self) -> None:
        """F6: the connections of a service fall silent, and are reset at the end."""
        name = self._chance.choice(SERVICES)
        self._world.network.hold(*both(*[(name, member) for member in self._world.members]))
        self._wait(8)
        self._world.network.heal(reset=True)

    def responses_lost(self) -> None:
        """F6: requests arrive at etcd, and no response returns."""
        name = self._chance.choice(SERVICES)
        self._world.network.hold(*[(member, name) for member in self._world.members])
        self._wait(8)
        self._world.network.heal(reset=True)

    def slow_link(self) -> None:
        """F6: 200 ms and 50 kB/s."""
        name = self._chance.choice(SERVICES)
        flows = both(*[(name, member) for member in self._world.members])
        self._world.network.slow(0.2, 50_000, *flows)
        self._wait(8)
        self._world.network.heal()

    def clients_cut_off(self) -> None:
        """All connections of clients are reset, in the middle of streams and responses."""
        for _ in range(3):
            self._world.network.reset(*[("clients", name) for name in SERVICES])
            self._wait(0.5)

    # Workers

    def worker_killed(self) -> None:
        """F14: one worker after the other, with kill -9, in the middle of streams and batches."""
        for service in self._world.services.values():
            before = set(service.workers())
            service.kill_worker()
            eventually(lambda s=service, b=before: set(s.workers()) - b, 60)
            service.wait_ready()
            self.restarts += 1

    def worker_paused(self) -> None:
        """A service does not run for longer than the shortest ttl."""
        service = self._world.services[self._chance.choice(SERVICES)]
        service.pause()
        self._wait(LONGER)
        service.resume()
        service.wait_ready()

    def rolling_restart(self) -> None:
        """F15: one service after the other, with SIGTERM."""
        services = [*self._world.services.values()]
        if self._beside is not None:
            services.append(self._beside.identity.service)
        for service in services:
            service.stop(15)
            service.start()
            self.restarts += 1

    # History

    def compacted_past_a_watcher(self) -> None:
        """F10: what a watcher misses is compacted, and the service that it returns to is restarted."""

        def compact() -> None:
            self._world.witness.compact(self._world.witness.catch_up())
            service = self._world.services["a"]
            service.restart()
            self.restarts += 1

        self._lag(compact)

    def compacted_often(self) -> None:
        """History is compacted five times in a second."""
        for _ in range(10):
            revision = self._world.witness.catch_up()
            self._world.witness.compact(revision)
            self._wait(0.2)

    # Owners of leases

    def owner_paused(self) -> None:
        """F23: a member sends nothing for longer than its ttl, and continues."""
        member = self._chance.choice(self._members)
        member.pause()
        self._wait(TTL + 5)
        member.resume()

    # What is beside the cluster

    def clock_jumped(self) -> None:
        """F13: the clock of a service is an hour ahead, and then an hour behind."""
        for seconds in (3600, -3600, 0):
            self._world.set_clock(seconds)
            self._wait(3)

    def keystone_paused(self) -> None:
        """F17: Keystone does not answer."""
        self._identity.keystone.pause()
        self._wait(6)
        self._identity.keystone.resume()

    def memcached_killed(self) -> None:
        """F18: all tokens are forgotten."""
        self._identity.memcached.kill()
        self._wait(3)
        self._identity.memcached.start()

    def memcached_paused(self) -> None:
        """F18: memcached does not answer."""
        self._identity.memcached.child.pause()
        self._wait(6)
        self._identity.memcached.child.resume()

    def notifier_killed(self) -> None:
        """F20: with kill -9, also between a message and the note about it."""
        self._deliveries.kill(self._chance)

    def receiver_failed(self) -> None:
        """F19: the receiver of webhooks answers with errors, or not at all."""
        self._deliveries.fail(self._chance.choice(FAILURES))
        self._wait(6)
        self._deliveries.recover()


SHORT = (
    "leader_killed",
    "owner_paused",
    "worker_killed",
    "leader_paused",
    "half_open",
    "compacted_past_a_watcher",
    "rolling_restart",
)
"""The faults of the short run."""

LONG = tuple(
    name for kind in (EtcdFaults, Faults) for name in vars(kind) if not name.startswith("_")
)
"""All kinds of faults."""
