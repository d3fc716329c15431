"""A fact with a time to live never expires early, and its expiry is reported.

etcd's own lease is the measure: while that has time left, the fact is there.  The clock is used for
lower bounds only, which a slow machine cannot break.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.pulse import pulse_lease
from tests.etcd_cluster import EtcdCluster
from tests.eventually import eventually
from tests.faults.checker import History, Scope, check_watcher
from tests.faults.conftest import StartApi, in_the_gate
from tests.faults.etcd_gateway import RawEtcd
from tests.faults.plain_http import fact_url
from tests.faults.readiness import ask, page, put
from tests.faults.watchers import PollWatcher, StreamWatcher, Watcher
from tests.faults.writers import PROJECT
from tests.service import ApiServer

STACK = "s"
SCOPE = Scope(PROJECT, STACK)
TTL = 5


class Mortals:
    """Facts with a time to live, each with the moment at which it was last asked for."""

    def __init__(self, server: ApiServer, raw: RawEtcd, count: int) -> None:
        self._server = server
        self._raw = raw
        self._asked: dict[str, float] = {}
        self.paths = [f"mortal/{number}" for number in range(count)]
        for path in self.paths:
            self._asked[path] = time.monotonic()
            assert put(server, STACK, path, path, ttl=TTL)["ttl"] == TTL
        self._leases = {path: raw.lease_of(SCOPE, path) for path in self.paths}

    def left(self, path: str) -> int:
        return self._raw.lease_left(pulse_lease(self._leases[path]))

    def renew(self, path: str) -> None:
        """Put the same again: nothing changes but the time that is left."""
        before = ask(self._server, "GET", fact_url(STACK, path))
        assert before.status == 200, "it went early"
        left, asked = self.left(path), time.monotonic()
        again = ask(self._server, "PUT", fact_url(STACK, path), {"value": path, "ttl": TTL})
        assert (again.status, again.headers["factstore-unchanged"]) == (200, "true")
        assert again.etag == before.etag
        self._asked[path] = asked
        assert left < TTL <= self.left(path)

    def gone(self, path: str) -> bool:
        """Return True if a fact has expired, which must not happen early."""
        status = ask(self._server, "GET", fact_url(STACK, path)).status
        lived = time.monotonic() - self._asked[path]
        left = self.left(path)
        if status == 200:
            return False
        assert status == 404
        assert left <= 0, f"{path} went with {left} s left"
        assert lived >= TTL, f"{path} lived for {lived:.3f} s"
        return True


@pytest.mark.parametrize("killed", [False, True], ids=["calm", "etcd-killed"])
def test_a_fact_with_a_ttl_never_expires_early_and_its_expiry_is_an_event(
    etcd_server: EtcdServer, start_api: StartApi, killed: bool
) -> None:
    server = start_api([etcd_server.endpoint])
    raw = RawEtcd(etcd_server.endpoint)
    put(server, STACK, "immortal", 1)
    start = page(server, STACK)["cursor"]
    watchers: list[Watcher] = [
        kind(kind.__name__, [server.url], STACK, cursor=start)
        for kind in (StreamWatcher, PollWatcher)
    ]
    for watcher in watchers:
        watcher.start()
    mortals = Mortals(server, raw, 10)
    renewed, others = mortals.paths[:5], mortals.paths[5:]
    eventually(lambda: mortals.left(renewed[-1]) <= 3)
    for path in renewed:
        mortals.renew(path)
    if killed:
        etcd_server.kill()
        etcd_server.start()
        etcd_server.wait_ready()
    for path in (*others, *renewed):
        eventually(lambda p=path: mortals.gone(p), 60)
    assert ask(server, "GET", fact_url(STACK, "immortal")).status == 200

    end = put(server, STACK, "end", 1)["revision"]
    for watcher in watchers:
        eventually(lambda w=watcher: w.position >= end or w.complaints)
        watcher.stop()
    history = History(raw.keyspace)
    raw.witness(history)
    for watcher in watchers:
        assert (watcher.complaints, watcher.resets) == ([], 0)
        assert check_watcher(history, SCOPE, "", watcher.segments, end) == []
    ends = [
        change.path
        for changes in history.events[SCOPE].values()
        for change in changes
        if change.type == "fact.expire"
    ]
    assert sorted(map(str, ends)) == sorted(mortals.paths)


PAUSE = TTL + 2.5  # seconds for which a leader of etcd is paused, longer than leases last
BLOWS = (0.0, 7.0)  # seconds after which it revokes leases: 16 at once, and the others later
LIVES = 10  # members, and as many facts


class Heartbeats:
    """Members and facts that are renewed through two servers, with the last acknowledged renewals."""

    def __init__(self, servers: list[ApiServer]) -> None:
        self._servers = servers
        self._stop = threading.Event()
        self.acknowledged: dict[str, float] = {}
        self.complaints: list[str] = []
        for number in range(LIVES):
            answer = ask(servers[0], "PUT", self._member(number), {"group": "g", "ttl": TTL})
            assert answer.status == 201, answer
            put(servers[0], STACK, f"mortal/{number}", 1, ttl=TTL)
            put(servers[0], STACK, f"bound/{number}", 1, member=f"m{number}")

    def _member(self, number: int) -> str:
        return f"/v1/stacks/{STACK}/members/m{number}"

    def run(self, number: int) -> None:
        """Renew one member and one fact each second, until :meth:`stop`."""
        while not self._stop.wait(1):
            server = self._servers[number % len(self._servers)]
            beat = ask(server, "POST", f"{self._member(number)}/heartbeat")
            if beat.status != 204:
                self.complaints.append(f"m{number}: {beat}")
            self.acknowledged[f"m{number}"] = time.monotonic()
            body = {"value": 1, "ttl": TTL}
            equal = ask(server, "PUT", fact_url(STACK, f"mortal/{number}"), body)
            if equal.headers.get("factstore-unchanged") != "true":
                self.complaints.append(f"mortal/{number}: {equal}")
            self.acknowledged[f"mortal/{number}"] = time.monotonic()

    def beat_again(self) -> None:
        """Wait until all have been renewed once more."""
        began = time.monotonic()

        def renewed() -> bool:
            return sum(at > began for at in list(self.acknowledged.values())) == 2 * LIVES

        eventually(lambda: renewed() or self.complaints, 60)
        assert self.complaints == []

    def stop(self) -> None:
        self._stop.set()


@in_the_gate
@pytest.mark.timeout(1200)
def test_nothing_that_is_renewed_ends_when_a_paused_leader_of_etcd_continues(
    cluster: EtcdCluster, start_api: StartApi, scale: int
) -> None:
    paused = cluster.leader()
    servers = [start_api([member.endpoint]) for member in cluster.followers()]
    put(servers[0], STACK, "immortal", 1)
    beats = Heartbeats(servers)
    before = page(servers[0], STACK)
    with ThreadPoolExecutor(LIVES) as threads:
        running = [threads.submit(beats.run, number) for number in range(LIVES)]
        try:
            for _ in range(scale):
                lead(cluster, paused)
                paused.pause()
                try:
                    threading.Event().wait(PAUSE)
                    beats.beat_again()
                finally:
                    paused.resume()
                threading.Event().wait(BLOWS[scale > 1])
                beats.beat_again()
                beats.beat_again()
        finally:
            beats.stop()
        for done in running:
            done.result(60)
    assert ends_since(servers[0], before["cursor"]) == []


def lead(cluster: EtcdCluster, member: EtcdServer) -> None:
    """Let a member lead, which the servers do not use."""
    leader = cluster.leader()
    if leader is not member:
        body = {"targetID": str(member.status()["header"]["member_id"])}
        RawEtcd(leader.endpoint).call("/v3/maintenance/transfer-leadership", body)
    eventually(lambda: cluster.leader() is member)


def ends_since(server: ApiServer, cursor: str) -> list[str]:
    """Return the types of all changes after a cursor by which something expired."""
    found: list[str] = []
    end = put(server, STACK, "end", 1)["revision"]
    while int(cursor.partition(".")[2]) < end:
        answer = ask(server, "GET", f"/v1/stacks/{STACK}/events?since={cursor}&wait=5")
        assert answer.status == 200, answer
        found += [
            change["type"]
            for event in answer.json()["events"]
            for change in event["changes"]
            if change["type"].endswith(".expire")
        ]
        cursor = answer.json()["next"]
    return found
