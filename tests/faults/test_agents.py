"""Agents with read sets and turns, whose servers, hooks and processes crash, freeze and restart.

There are twelve, and thirty with more faults. All is shown in one run, because so many processes take
long to start.  The random choices depend on a
seed that is printed.  The test does not wait between the faults.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.faults.cluster import AGENTS, MANY, PARALLEL, TTL, Cluster
from tests.faults.conftest import StartApi

FAULTS = 4
UP_SECONDS = 180.0  # in which all have started
CALM_SECONDS = 180.0  # in which all have converged, once nothing breaks any more


@pytest.fixture
def cluster(
    etcd_server: EtcdServer, start_api: StartApi, tmp_path: Path, seed: int, scale: int
) -> Iterator[Cluster]:
    """All agents and servers, before any agent is started."""
    agents = AGENTS if scale == 1 else MANY
    made = Cluster(etcd_server, start_api, tmp_path, random.Random(seed), agents)
    try:
        yield made
    finally:
        made.end()


@pytest.mark.timeout(900)  # on a busy machine, many processes start and render slowly
def test_agents_converge_under_crashes_and_freezes(cluster: Cluster, scale: int) -> None:
    cluster.start()
    first = cluster.converged(UP_SECONDS)
    only_readers_render(cluster)
    turns_of_killed_agents_pass_on(cluster)
    for _ in range(FAULTS * scale):
        cluster.disturb()
    cluster.change_file()  # the drawn faults need not include a change
    print(json.dumps(cluster.done))
    cluster.calm()
    last = cluster.converged(CALM_SECONDS)
    cluster.nobody_ended()
    assert first.document != last.document


def only_readers_render(cluster: Cluster) -> None:
    """Change facts that no agent, three agents and four agents read."""
    stack, before = cluster.stack, cluster.renders()
    stack.put("kpi", 1)
    assert (stack.convergence().converged, stack.convergence().concerned) == (True, 0)
    assert cluster.reading("kpi") == set()

    readers = {each.name for each in cluster.readers}
    assert cluster.reading("special") == readers
    cluster.put_special("new")
    standing = stack.convergence(wait=50)
    assert (standing.converged, standing.concerned) == (True, len(readers))
    after = cluster.renders()
    assert after == {name: before[name] + (name in readers) for name in before}

    cluster.let_read(cluster.agents[-1])
    before = cluster.renders()
    cluster.put_special("newer")
    assert stack.convergence(wait=50).converged
    readers = {each.name for each in cluster.readers}
    assert cluster.renders() == {name: before[name] + (name in readers) for name in before}


def turns_of_killed_agents_pass_on(cluster: Cluster) -> None:
    """Kill agents that hold a turn, and then a worker and etcd, while all want to run their hooks."""
    cluster.hold()
    eventually(lambda: len(cluster.waiting()) == len(cluster.agents) - PARALLEL, 60)
    holders = cluster.holders()
    eventually(lambda: cluster.running == holders)
    state = f"results/{min(cluster.waiting())}/agent/state"
    eventually(lambda: cluster.stack.get(state).value == "waiting_for_turn")

    killed = sorted(holders)[: PARALLEL // 2]
    crashed = [cluster.crash(name) for name in killed]
    eventually(lambda: not cluster.holders() & {*killed}, 3 * TTL)
    eventually(lambda: len(cluster.running) == PARALLEL, 3 * TTL)
    assert cluster.running == cluster.holders()
    assert holders - {*killed} < cluster.running

    # Hooks that ran on during a long outage would rightly overlap with those of the next holders.
    cluster.release()
    cluster.crash_servers()
    for agent in crashed:
        agent.start()
    cluster.converged(CALM_SECONDS)
    eventually(lambda: not cluster.holders() | cluster.waiting())
    assert cluster.parallel == PARALLEL
