"""A fact with a time to live never expires early, and its expiry is reported.

etcd's own lease is the measure: while that has time left, the fact is there.  The clock is used for
lower bounds only, which a slow machine cannot break.
"""

from __future__ import annotations

import time

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.faults.checker import History, Scope, check_watcher
from tests.faults.conftest import StartApi
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
        return self._raw.lease_left(self._leases[path])

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
