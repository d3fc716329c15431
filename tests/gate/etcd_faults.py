"""The faults of etcd in a run.  Each function causes one, and returns when it is over."""

from __future__ import annotations

import random
import threading

from tests.eventually import eventually
from tests.faults.plain_http import Answer, Caller, fact_url
from tests.faults.readiness import ask, put
from tests.gate.members import TTL
from tests.gate.network import both
from tests.gate.world import QUOTA, World
from tests.service import ApiServer

LONGER = TTL + 2.5
"""Seconds of a pause: more than the shortest ttl."""
LARGE = fact_url("large", "fact")
LARGE_TEXT = "x" * 60_000
ROOM = 8 * 1024 * 1024
"""Bytes that are left for the writes of a project before the database is full."""


class EtcdFaults:
    """The faults of the members of etcd, and of the links between them."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance

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

    def follower_replaced(self) -> None:
        """F7, F9: a follower has lost its disk; it joins again, and the leader sends it the data."""
        follower = self._chance.choice(self._world.cluster.followers())
        follower.kill()
        follower.wipe()
        self._world.witness.replace_member(
            self._world.cluster.leader(), follower.name, self._world.peers[follower.name]
        )

        def has_joined() -> bool:
            if not follower.child.running:  # it ends if the others do not answer in time
                follower.start(joins=True)
            return follower.healthy()

        eventually(has_joined, 180)

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
        eventually(
            lambda: self._put_large(service).status == 503 and witness.alarms(), 120, pause=0
        )
        assert {alarm["alarm"] for alarm in witness.alarms()} == {"NOSPACE"}
        self._wait(6)
        assert ask(service, "DELETE", LARGE).status == 204
        witness.free_space()

    def _put_large(self, service: ApiServer) -> Answer:
        with Caller(service.url) as caller:
            return caller.call("PUT", LARGE, {"value": f"{self._chance.random()}{LARGE_TEXT}"})
