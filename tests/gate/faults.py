"""The faults of a run.  Each function causes one, and returns when it is over."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.eventually import eventually
from tests.faults.plain_http import Answer, Caller, fact_url
from tests.faults.readiness import ask, put
from tests.gate.deliveries import Deliveries
from tests.gate.identity import Identity
from tests.gate.members import TTL, LiveMember
from tests.gate.network import both
from tests.gate.world import QUOTA, SERVICES, World
from tests.service import ApiServer

LONGER = TTL + 2.5
"""Seconds of a pause: more than the shortest ttl."""
LARGE = fact_url("large", "fact")
LARGE_TEXT = "x" * 60_000
ROOM = 2 * 1024 * 1024
"""Bytes that are left for the writes of a project before the database is full."""
FAILURES = ("error", "hang", "reset", "busy")


@dataclass(frozen=True)
class Beside:
    """The parts of a run beside the cluster."""

    identity: Identity
    deliveries: Deliveries


class Faults:
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
        self._world = world
        self._beside = beside
        self._chance = chance
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

    def _wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    # Members of etcd

    def leader_killed(self) -> None:
        """F2."""
        self._kill(self._world.cluster.leader().name)

    def follower_killed(self) -> None:
        """F1."""
        self._kill(self._chance.choice(self._world.cluster.followers()).name)

    def _kill(self, name: str) -> None:
        member = self._world.members[name]
        member.kill()
        self._wait(3)
        member.start()
        self._world.cluster.wait_ready(120)

    def leader_paused(self) -> None:
        """F3, for longer than the shortest ttl; etcd then revokes leases that were renewed."""
        member = self._world.cluster.leader()
        member.pause()
        self._wait(LONGER)
        member.resume()
        self._world.cluster.wait_ready(120)
        self._wait(LONGER)  # the revocations come up to seven seconds later

    def follower_paused(self) -> None:
        """A pause of a follower that a service may be connected to."""
        member = self._chance.choice(self._world.cluster.followers())
        member.pause()
        self._wait(LONGER)
        member.resume()
        self._world.cluster.wait_ready(120)

    def quorum_lost(self) -> None:
        """F4."""
        members = self._world.cluster.members[:2]
        for member in members:
            member.kill()
        self._wait(6)
        for member in members:
            member.start()
        self._world.cluster.wait_ready(120)

    def leader_partitioned(self) -> None:
        """F5: the leader does not reach its followers, nor they it."""
        leader = self._world.cluster.leader().name
        others = [name for name in self._world.members if name != leader]
        self._disturb(8, both(*[(leader, other) for other in others]))

    def follower_partitioned(self) -> None:
        """F5: a follower does not reach the others."""
        follower = self._world.cluster.followers()[0].name
        others = [name for name in self._world.members if name != follower]
        self._disturb(8, both(*[(follower, other) for other in others]))

    def one_way_partition(self) -> None:
        """F5: what the leader sends does not arrive at one follower."""
        leader = self._world.cluster.leader().name
        follower = self._world.cluster.followers()[0].name
        self._disturb(8, [(leader, follower)])

    def _disturb(self, seconds: float, flows: list[tuple[str, str]]) -> None:
        self._world.network.hold(*flows)
        self._wait(seconds)
        self._world.network.heal()
        self._world.cluster.wait_ready(120)

    def defragmented(self) -> None:
        """F11: on the leader."""
        self._world.witness.defragment(self._world.cluster.leader())

    def store_full(self) -> None:
        """F8: writes of a project use up the quota of the database; only deletions are accepted."""
        service, witness = self._world.services["a"], self._world.witness
        put(service, "large", "fact", "small")
        witness.fill(QUOTA - ROOM)
        eventually(lambda: self._put_large(service).status == 503 and witness.alarms(), 120)
        assert {alarm["alarm"] for alarm in witness.alarms()} == {"NOSPACE"}
        self._wait(6)
        assert ask(service, "DELETE", LARGE).status == 204
        witness.free_space()

    def _put_large(self, service: ApiServer) -> Answer:
        with Caller(service.url) as caller:
            return caller.call("PUT", LARGE, {"value": f"{self._chance.random()}{LARGE_TEXT}"})

    # Links of the services

    def service_cut_off(self) -> None:
        """One service reaches no member."""
        name = self._chance.choice(SERVICES)
        self._world.network.refuse(*[(name, member) for member in self._world.members])
        self._wait(6)
        self._world.network.heal()

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

LONG = tuple(name for name in vars(Faults) if not name.startswith("_"))
"""All kinds of faults."""
