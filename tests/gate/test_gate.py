"""Three members of etcd and two services under faults, compared with what was promised.

``make gate`` runs the short gate and ``make gate-long`` the long one, which takes up to an hour.
``FACTSTORE_GATE_MINUTES`` limits the long one.  ``make test`` runs the short one with the same faults
and fewer requests.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from factstore.cmd.processes.keystone import KeystoneServer
from tests.faults.test_deliveries import ALLOWED
from tests.gate.deliveries import Deliveries
from tests.gate.faults import LONG, SHORT, Beside
from tests.gate.identity import Identity
from tests.gate.judge import Judged, judge
from tests.gate.restore import restore_older_backup
from tests.gate.run import STACK, Report, Run, Size
from tests.gate.seeds import SEEDS, copied
from tests.gate.world import running

SHORT_SIZE = Size(clients=8, watchers=2, members=3, conditions=1, step=250, pace=0.1)
SHORT_OPERATIONS = 5000
BRIEF_SIZE = Size(
    clients=6, watchers=2, members=3, conditions=1, step=60, pace=0.2, probe_period=0.5
)
BRIEF_OPERATIONS = 1500
IS_BRIEF = "FACTSTORE_GATE" not in os.environ
WHOLE = 30
"""Minutes of a run that has to be complete."""
ENOUGH = 116_000, 62, 21
"""Requests, faults and restarts of workers after which the long gate ends before its time."""
MINUTES = float(os.environ.get("FACTSTORE_GATE_MINUTES", "0"))


@pytest.fixture
def seed() -> int:
    """Of all random choices; shown when the test fails.  ``FACTSTORE_FAULTS_SEED`` repeats one."""
    chosen = int(os.environ.get("FACTSTORE_FAULTS_SEED") or random.randrange(10**6))
    print(f"FACTSTORE_FAULTS_SEED={chosen}")
    return chosen


def passes(report: Report, most_unknown: float = 0.01) -> None:
    """Print a report, and check that no promise was broken."""
    print(report)
    assert report.violations == []
    assert report.complaints == []
    assert report.unknown <= most_unknown


@pytest.mark.timeout(1200)
def test_short_gate(tmp_path: Path, seed: int) -> None:
    size, operations = (
        (BRIEF_SIZE, BRIEF_OPERATIONS) if IS_BRIEF else (SHORT_SIZE, SHORT_OPERATIONS)
    )
    with running(tmp_path) as world:
        run = Run(world, size, seed)
        run.start()
        for name in SHORT:
            run.survive(name)
        run.until(operations)
        recording = run.finish()
    report = run.check(recording)
    # Each fault leaves some outcomes unknown, and fewer requests have as many faults.
    passes(report, 0.03 if IS_BRIEF else 0.01)
    assert report.operations >= operations
    assert set(report.faults) == set(SHORT)
    assert report.late, "nothing expired, although an owner was paused"


@pytest.mark.skipif(not MINUTES, reason="make gate-long runs it")
@pytest.mark.timeout(7200)
def test_long_gate(tmp_path: Path, seed: int, private_keystone: KeystoneServer) -> None:
    step = int(500 * min(1.0, MINUTES / WHOLE))  # a shorter run tries as many kinds of faults
    size = Size(clients=16, watchers=16, members=8, conditions=4, step=step)
    began, chance = time.monotonic(), random.Random(seed)
    options = {"notify": ALLOWED}
    with (
        running(tmp_path, links_peers=True, skewed=True, options=options) as world,
        ExitStack() as started,
    ):
        identity = Identity(world, private_keystone, started)
        beside = Beside(identity, Deliveries(world, STACK, started))
        run = Run(world, size, seed, beside)
        run.start()
        while time.monotonic() - began < 60 * MINUTES and not run.has_done(*ENOUGH):
            faults = (*LONG, "rolling_restart", "worker_killed")  # for the number of restarts
            for name in chance.sample(faults, len(faults)):
                run.survive(name)
                if time.monotonic() - began >= 60 * MINUTES or run.has_done(*ENOUGH):
                    break
        recording = run.finish()
        restore_older_backup(world)
    report = run.check(recording)
    report.faults["restored_older_backup"] += 1
    print(report, flush=True)
    is_whole = MINUTES >= WHOLE  # a shorter run has more faults for its requests
    passes(report, 0.01 if is_whole else 0.05)
    if is_whole:
        assert report.operations >= 100_000
        assert sum(report.faults.values()) >= 60
        assert len(report.faults) >= 10
        assert report.restarts >= 20
        assert report.repeated > 0
        assert report.deliveries >= 1_000_000
    # The checkers would have found a bug in this very run.
    chance, absent = random.Random(seed), []
    right = Judged(recording, recording.history())
    for name, (bug, kind) in SEEDS.items():
        changed = copied(recording)
        try:
            bug(changed, chance)
        except LookupError:
            absent.append(name)  # nothing happened that the bug could have changed
        else:
            assert kind in {violation.kind for violation in judge(changed, right)}, name
    print(f"bugs without a place in this run: {absent}")
    assert len(absent) <= 1
