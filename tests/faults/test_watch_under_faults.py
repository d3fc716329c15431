"""Ten watchers, two servers, writers that never stop, and everything that may break breaks.

Faults come after counted writes.  Afterwards the events of every watcher, the responses to every writer
and the lists of both servers are compared with etcd's own history.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.faults.checker import Held, History, Scope, Told, check_watcher, covers
from tests.faults.conftest import StartApi, in_the_gate
from tests.faults.etcd_gateway import RawEtcd
from tests.faults.ledger import check_attempts
from tests.faults.readiness import listed, page, put
from tests.faults.watchers import PollWatcher, StreamWatcher, Watcher
from tests.faults.writers import PROJECT, Writers
from tests.service import ApiServer

STEP = 25  # acknowledged writes between two faults


class Run:
    """One run: servers, writers, watchers, and the witness."""

    def __init__(self, etcd: EtcdServer, first: ApiServer, second: ApiServer, seed: int) -> None:
        self.etcd, self.first, self.second = etcd, first, second
        self.raw = RawEtcd(etcd.endpoint)
        self.history = History(self.raw.keyspace)
        servers = [first.url, second.url]
        for stack in ("alpha", "beta"):
            put(first, stack, "nodes/n1/k0", "first")
        starts = {stack: page(first, stack)["cursor"] for stack in ("alpha", "beta")}
        starts["alpha,beta"] = starts["beta"]
        filters = [("alpha", ""), ("alpha", "nodes/n1"), ("alpha", "quiet"), ("beta", "")]
        self.watchers: list[Watcher] = [
            kind(f"{kind.__name__} of {stack} {prefix}", order, stack, prefix, cursor=starts[stack])
            for kind, order in ((StreamWatcher, servers), (PollWatcher, servers[::-1]))
            for stack, prefix in (*filters, ("alpha,beta", ""))
        ]
        self.writers = Writers(servers, 4, seed)

    def after_writes(self, count: int = STEP) -> None:
        """Let so many writes be acknowledged."""
        target = self.writers.done + count
        eventually(lambda: self.writers.done >= target, 120)

    def compact(self, revision: int) -> None:
        """Compact, once the witness has seen what will be gone."""
        self.raw.witness(self.history)
        assert self.history.revision >= revision
        self.raw.compact(revision)

    def restart_etcd(self) -> None:
        self.etcd.kill()
        self.etcd.start()
        self.etcd.wait_ready()

    # Faults, each survivable

    def etcd_is_killed(self) -> None:
        self.restart_etcd()

    def a_worker_is_killed(self) -> None:
        for server in (self.first, self.second):
            before = set(server.workers())
            server.kill_worker()
            eventually(lambda s=server, b=before: set(s.workers()) - b, 60)
            self.after_writes(20)

    def a_server_is_restarted(self) -> None:
        self.first.restart()

    def history_that_everybody_has_is_compacted(self) -> None:
        self.compact(min(watcher.position for watcher in self.watchers))

    def history_that_some_need_is_compacted(self) -> None:
        """Some watchers are away; what they missed is gone from etcd and from the first server."""
        away = [self.watchers[n] for n in (0, 4, 6, 9)]
        resets = [watcher.resets for watcher in away]
        for watcher in away:
            watcher.hold()
        self.after_writes()
        self.compact(self.raw.head())
        self.first.restart()
        for watcher in away:
            watcher.release(self.first.url)
        for watcher, before in zip(away, resets, strict=True):
            eventually(lambda w=watcher, b=before: w.resets > b, 60)

    def a_server_sleeps_through_a_compaction(self) -> None:
        """The first server's own watch is broken, and what it needs to go on is compacted."""
        self.first.pause()
        try:
            for number in range(STEP):  # the writers may all be waiting for the sleeper
                put(self.second, "alpha", f"nodes/n10/k{number % 8}", f"meanwhile-{number}")
            self.compact(self.raw.head())
            self.restart_etcd()
        finally:
            self.first.resume()
        self.first.wait_ready(60)

    def run(self, scale: int) -> None:
        for watcher in self.watchers:
            watcher.start()
        self.writers.start()
        for cycle in range(scale):
            self._survive(
                self.etcd_is_killed,
                self.a_worker_is_killed,
                self.history_that_everybody_has_is_compacted,
                self.etcd_is_killed,
                self.a_server_is_restarted,
            )
            if cycle == 0:
                assert [w.name for w in self.watchers if w.resets] == [], "nothing was missing"
            self._survive(
                self.history_that_some_need_is_compacted,
                self.etcd_is_killed,
                self.a_server_sleeps_through_a_compaction,
                self.a_worker_is_killed,
                self.etcd_is_killed,
            )
        self.writers.stop()

    def _survive(self, *faults: Callable[[], None]) -> None:
        for fault in faults:
            self.after_writes()
            fault()
        self.after_writes()

    def settle(self) -> dict[Watcher, int]:
        """Write what every watcher waits for, let all come so far; which revision that is."""
        last = {
            (stack, path): put(self.second, stack, path, "last")["revision"]
            for stack, path in (("alpha", "nodes/n1/z"), ("alpha", "quiet/z"), ("beta", "z"))
        }
        awaited = {
            watcher: max(
                revision
                for (stack, path), revision in last.items()
                if stack in watcher.stacks and covers(watcher.prefix, path)
            )
            for watcher in self.watchers
        }
        for watcher, revision in awaited.items():
            eventually(lambda w=watcher, r=revision: w.position >= r or w.complaints, 90)
        for watcher in self.watchers:
            watcher.stop()
        self.raw.witness(self.history)
        return awaited


@in_the_gate
@pytest.mark.timeout(7200)  # for a large FACTSTORE_FAULTS
def test_every_watcher_receives_each_event_once_whole_and_in_order_under_faults(
    etcd_server: EtcdServer, start_api: StartApi, seed: int, scale: int
) -> None:
    first = start_api([etcd_server.endpoint])
    second = start_api([etcd_server.endpoint], workers=2)
    run = Run(etcd_server, first, second, seed)
    run.run(scale)
    awaited = run.settle()

    for watcher in run.watchers:
        segments = [each for view in watcher.views.values() for each in view]
        told = [item for segment in segments for item in segment.items]
        events = sum(isinstance(item, Told) for item in told)
        print(
            f"{watcher.name}: {watcher.connections} connections, {watcher.resets} resets, "
            f"{events} events"
        )
    counts = {answer: run.writers.ledger.count(answer) for answer in ("done", "refused", "unknown")}
    print(f"writes: {counts}, revisions: {run.history.revision}")

    assert run.writers.complaints == []
    for watcher, until in awaited.items():
        assert watcher.complaints == [], watcher.name
        for stack, view in watcher.views.items():
            scope = Scope(PROJECT, stack)
            broken = check_watcher(run.history, scope, watcher.prefix, view, until)
            assert broken == [], (watcher.name, stack)
    assert check_attempts(run.history, run.writers.ledger.attempts) == []
    for server in (first, second):
        for stack in ("alpha", "beta"):
            eventually(lambda s=server, k=stack: listed(s, k) == held(run, k))


def held(run: Run, stack: str) -> dict[str, Held]:
    """Return the facts in etcd's keys, which are the result of its history."""
    scope = Scope(PROJECT, stack)
    facts = run.raw.facts(scope)
    run.raw.witness(run.history)
    assert facts == run.history.state(scope)
    return facts
