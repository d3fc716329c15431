"""Three etcd members, of which one is killed, or frozen, under writes."""

from __future__ import annotations

import pytest

from tests.etcd_cluster import EtcdCluster
from tests.eventually import eventually
from tests.faults.checker import History, Scope, check_watcher
from tests.faults.conftest import StartApi, in_the_gate
from tests.faults.etcd_gateway import RawEtcd
from tests.faults.ledger import check_attempts
from tests.faults.readiness import listed, page, put
from tests.faults.watchers import PollWatcher, StreamWatcher, Watcher
from tests.faults.writers import PROJECT, Writers
from tests.service import ApiServer

STEP = 30  # acknowledged writes, before, during and after each fault


@in_the_gate
@pytest.mark.timeout(7200)  # for a large FACTSTORE_FAULTS
def test_writes_continue_and_none_is_lost_when_an_etcd_member_dies_or_freezes(
    cluster: EtcdCluster, start_api: StartApi, seed: int, scale: int
) -> None:
    servers = [start_api(cluster.endpoints), start_api(cluster.endpoints[::-1])]
    urls = [server.url for server in servers]
    for stack in ("alpha", "beta"):
        put(servers[0], stack, "first", 1)
    start = page(servers[0], "alpha")["cursor"]
    watchers: list[Watcher] = [
        kind(f"{kind.__name__} {number}", order, "alpha", cursor=start)
        for number, order in enumerate((urls, urls[::-1]))
        for kind in (StreamWatcher, PollWatcher)
    ]
    writers = Writers(urls, 4, seed)
    for watcher in watchers:
        watcher.start()
    writers.start()

    def after_writes() -> None:
        target = writers.done + STEP
        eventually(lambda: writers.done >= target or writers.complaints, 120)

    for _ in range(scale):
        after_writes()
        killed = cluster.leader()
        killed.kill()
        after_writes()
        killed.start()
        killed.wait_ready()
        for frozen in (cluster.leader(), cluster.members[0], cluster.members[-1]):
            frozen.pause()
            try:
                after_writes()
            finally:
                frozen.resume()
            cluster.wait_ready()
            after_writes()
    writers.stop()
    end = put(servers[1], "alpha", "last", 1)["revision"]
    for watcher in watchers:
        eventually(lambda w=watcher: w.position >= end or w.complaints, 60)
        watcher.stop()

    raws = [RawEtcd(endpoint) for endpoint in cluster.endpoints]
    histories = [History(raw.keyspace) for raw in raws]

    def are_at_one_revision() -> bool:
        # A write whose writer has given up may still be applied between two reads.
        for raw, history in zip(raws, histories, strict=True):
            raw.witness(history)
        return len({history.revision for history in histories}) == 1

    eventually(are_at_one_revision)
    history = histories[0]
    assert [each.events for each in histories[1:]] == [history.events] * 2
    counts = {answer: writers.ledger.count(answer) for answer in ("done", "refused", "unknown")}
    print(f"writes: {counts}, revisions: {history.revision}")
    assert writers.complaints == []
    assert check_attempts(history, writers.ledger.attempts) == []
    scope = Scope(PROJECT, "alpha")
    for watcher in watchers:
        assert (watcher.complaints, watcher.resets) == ([], 0), watcher.name
        assert check_watcher(history, scope, "", watcher.segments, end) == [], watcher.name
    for server in servers:

        def lists_the_store(server: ApiServer = server) -> bool:
            # A fact with a ttl may expire between the two reads.
            raws[0].witness(history)
            return listed(server, "alpha") == history.state(scope)

        eventually(lists_the_store)
