"""A run of the gate: clients, watchers and probes, while faults happen; then the checks."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.eventually import eventually
from tests.faults.checker import Scope, Violation
from tests.faults.readiness import ask, page, put
from tests.faults.watchers import PollWatcher, StreamWatcher, Watcher
from tests.gate.clients import (
    PROJECT,
    Actor,
    FactClient,
    Progress,
    StackRecycler,
)
from tests.gate.conditions import Conditions
from tests.gate.faults import Beside, Faults
from tests.gate.followers import ClientWatcher, CopyKeeper
from tests.gate.judge import judge
from tests.gate.known_faults import explanations
from tests.gate.lifetimes import latenesses
from tests.gate.members import LiveMember
from tests.gate.probes import probes
from tests.gate.recording import Followed, Recording, flattened
from tests.gate.world import QUOTA, World

STACK = "gate"
RECYCLED = "recycled"
SCOPE = Scope(PROJECT, STACK)
DELIVERED_SECONDS = 150.0  # a receiver that has failed waits longer and longer for the next attempt
KNOWN_CLIENTS = 2  # that have a token of Keystone


@dataclass(frozen=True)
class Size:
    """The size of a run.

    :param step: requests of clients between two faults.
    :param pace: seconds between two requests of a client.
    :param probe_period: seconds between two requests of a probe.
    """

    clients: int
    watchers: int
    members: int
    conditions: int
    step: int
    pace: float = 0.02
    probe_period: float = 0.1


@dataclass
class Report:
    """The numbers of a run."""

    etcd: str = ""
    operations: int = 0
    repeated: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    armed: int = 0
    deliveries: int = 0
    resets: int = 0
    copies: int = 0
    recoveries: list[tuple[str, dict[str, float], int]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def unknown(self) -> float:
        """The share of requests with an unknown outcome."""
        return self.outcomes["unknown"] / max(1, self.operations)

    def __str__(self) -> str:
        lines = [
            f"etcd {self.etcd}, {self.operations} operations, {self.unknown:.2%} unknown",
            f"outcomes {dict(self.outcomes)}, {self.repeated} known after a retry with the same key",
            f"faults {sum(self.faults.values())} of {len(self.faults)} kinds: {dict(self.faults)}",
            f"restarts of workers {self.restarts}, armings {self.armed}, resets {self.resets}",
            f"deliveries compared {self.deliveries}, copies compared {self.copies}",
            f"expiries {len(self.late)}, at most {max(self.late, default=0):.1f} s late",
            "seconds without a success: writes, reads, writes to etcd itself; unknown outcomes",
        ]
        for name, gaps, unknown in self.recoveries:
            times = " ".join(f"{gap:6.1f}" for gap in gaps.values())
            lines.append(f"  {name:28} {times} {unknown:6}")
        for each in self.violations[:20]:
            lines.append(f"BROKEN {each.kind}: {each.detail[:600]}")
            known = explanations(each, self.etcd, self.faults)
            lines += [f"  can be due to etcd {self.etcd}: {text}" for text in known]
        lines += [f"ERROR {each[:600]}" for each in self.complaints[:20]]
        return "\n".join(lines)


class Run:
    """One run in a world."""

    def __init__(self, world: World, size: Size, seed: int, beside: Beside | None = None) -> None:
        self.world = world
        self._beside = beside
        self.size = size
        self.report = Report()
        self._chance = random.Random(seed)
        first = world.services["a"]
        put(first, STACK, "first", 1)
        cursor = page(first, STACK)["cursor"]
        self._began = int(cursor.partition(".")[2])
        self._progress = Progress()
        self.clients = [
            FactClient(world.client().stack(STACK), SCOPE, number, seed, size.pace, self._progress)
            for number in range(size.clients)
        ]
        if beside is not None:
            self.clients += [
                FactClient(
                    *beside.identity.stack(STACK),
                    number=size.clients + number,
                    seed=seed,
                    pace=size.pace,
                    progress=self._progress,
                )
                for number in range(KNOWN_CLIENTS)
            ]
        self.members = [
            LiveMember(world, STACK, number, seed, takes_turns=number < 2)
            for number in range(size.members)
        ]
        self.conditions = [
            Conditions(world, STACK, number, seed) for number in range(size.conditions)
        ]
        self.keepers = [CopyKeeper(world, STACK, number) for number in range(size.conditions)]
        urls = [service.url for service in world.services.values()]
        self.recycler = StackRecycler(world, RECYCLED, seed)
        both = f"{RECYCLED},{STACK}"
        self.watchers: list[Watcher] = [
            StreamWatcher("stream", urls, STACK, cursor=cursor),
            PollWatcher("poll of two stacks", urls[::-1], both, cursor=cursor),
        ]
        prefixes = ["", "nodes/n1", "", "nodes"]
        self.client_watchers = [
            ClientWatcher(world, STACK, number, cursor, prefixes[number % len(prefixes)])
            for number in range(size.watchers)
        ]
        self._probes = probes(world, STACK, size.probe_period)
        # The first two members take turns, and are not paused.
        self.faults = Faults(world, self._chance, self.members[-1:], self._lag, beside)

    @property
    def actors(self) -> list[Actor]:
        return [*self.clients, *self.members, *self.conditions, *self.keepers, self.recycler]

    def start(self) -> None:
        for each in (*self.watchers, *self.client_watchers, *self.actors, *self._probes.values()):
            each.start()

    def survive(self, name: str) -> None:
        """Let clients send requests, cause a fault, and wait until they succeed again."""
        self.after(self.size.step)
        self.world.witness.keep_room(QUOTA // 2)
        began, unknown = time.monotonic(), self._progress.outcomes["unknown"]
        print(f"{name} after {self._progress.operations} requests", flush=True)
        fault: Callable[[], None] = getattr(self.faults, name)
        fault()
        self.after(self.size.step // 4)
        ended = time.monotonic()
        self.report.faults[name] += 1
        gaps = {each: probe.longest_gap(began, ended) for each, probe in self._probes.items()}
        unknown = self._progress.outcomes["unknown"] - unknown
        self.report.recoveries.append((name, gaps, unknown))

    def after(self, count: int) -> None:
        """Return after so many requests that succeeded."""
        target = self._progress.outcomes["done"] + count
        eventually(lambda: self._progress.outcomes["done"] >= target or self._complaints(), 180)

    def has_done(self, operations: int, faults: int, restarts: int) -> bool:
        """Return True after so many requests, faults and restarts of workers."""
        return (
            self._progress.operations >= operations
            and len(self.report.recoveries) >= faults
            and self.faults.restarts >= restarts
        )

    def until(self, count: int) -> None:
        """Return after so many requests since the beginning."""
        eventually(lambda: self._progress.operations >= count or self._complaints(), 300)

    def _complaints(self) -> list[str]:
        parts = [*self.actors, *self.watchers, *self.client_watchers]
        return [complaint for each in parts for complaint in each.complaints]

    def _lag(self, fault: Callable[[], None]) -> None:
        watcher = self.watchers[0]
        watcher.hold()
        try:
            self.after(20)
            fault()
        finally:
            watcher.release(self.world.services["a"].url)

    def finish(self) -> Recording:
        """Stop all, wait until watchers are complete, and return the recording.

        All that needs the cluster is compared here.  To judge a long recording takes minutes, in which
        this process, through whose links the members talk, leaves them little time.
        """
        for each in (*self.actors, *self._probes.values()):
            each.stop()
        for actor in self.actors:
            actor.join()
        # All members expire, because nobody renews them.
        eventually(lambda: not self._left(), 60)
        end = int(put(self.world.services["b"], STACK, "nodes/n1/end", "end")["revision"])
        followers = [*self.watchers, *self.client_watchers]
        for follower in followers:
            eventually(lambda w=follower: w.position >= end or w.complaints, 90)
        for follower in followers:
            follower.stop()
        if self._beside is not None:
            deliveries = self._beside.deliveries
            eventually(lambda: deliveries.position >= end, DELIVERED_SECONDS)
        recording = self._recording(end)
        self.report.etcd = self.world.cluster.members[0].version()
        self.report.complaints += self._differences()
        return recording

    def _left(self) -> list[Any]:
        """Return the members that have not expired yet."""
        service = self.world.services["a"]
        found: list[Any] = ask(service, "GET", f"/v1/stacks/{STACK}/members").json()["members"]
        return found

    def _recording(self, end: int) -> Recording:
        steps = self.world.witness.agreed()
        recording = Recording(self.world.witness.keyspace, list(steps))
        for client in self.clients:
            recording.operations += client.operations
        for member in self.members:
            member.finish()
            recording.lives += member.lives
            recording.holds += member.holds
        for keeper in self.keepers:
            recording.copies += keeper.copies
        recording.watchers += [
            Followed(watcher.name, Scope(PROJECT, stack), "", segments, end)
            for watcher in self.watchers
            for stack, segments in watcher.views.items()
        ]
        for each in self.client_watchers:
            followed = Followed(each.name, SCOPE, each.prefix, each.segments, end)
            recording.watchers.append(followed)
            recording.known += each.known
        if self._beside is not None:
            newest = recording.steps[-1][0]
            recording.watchers.append(self._beside.deliveries.followed(SCOPE, end, newest))
        return recording

    def check(self, recording: Recording) -> Report:
        """Judge a recording, and return the report; the cluster may have been stopped."""
        report, history = self.report, recording.history()
        report.operations = self._progress.operations
        report.outcomes = self._progress.outcomes
        report.repeated = self._progress.repeated
        report.restarts = self.faults.restarts
        report.armed = sum(each.armed for each in self.conditions)
        report.deliveries = recording.deliveries()
        report.copies = len(recording.copies)
        report.late = latenesses(recording, history)
        report.resets = sum(each.resets for each in (*self.watchers, *self.client_watchers))
        report.violations = judge(recording)
        report.complaints += self._complaints() + self.world.unhandled()
        for keeper in self.keepers:
            if keeper.mirror.mismatches:
                report.complaints.append(f"{keeper.name}: {keeper.mirror.mismatches} mismatches")
        if self._beside is not None:
            report.complaints += self._beside.deliveries.complaints
        return report

    def _differences(self) -> list[str]:
        """Return where a member of etcd, or the memory of a worker, differs from the store."""
        hashes = self.world.witness.hashes()
        found = [] if len(set(hashes.values())) == 1 else [f"hashes of members: {hashes}"]
        held = self.world.witness.facts(SCOPE)
        stored = flattened({path: json.loads(each.value) for path, each in held.items()})
        for name, service in self.world.services.items():
            answer = ask(
                service, "GET", f"/v1/stacks/{STACK}/context?consistency=stale&include=results"
            )
            shown = flattened(answer.json()["facts"])
            if shown != stored:
                wrong = sorted(set(shown.items()) ^ set(stored.items()))[:5]
                found.append(f"service {name} has {wrong}")
        return found
