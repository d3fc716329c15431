"""Many nodes that start at the same moment and need each other: the Slurm example's simulation.

Each size has processes of its own.  In the last run the worker and then etcd are killed while the nodes
start, and at last some nodes.  The simulation fails if, after a step, a node has another file than the
others, or one without a living node or with a dead one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from bench import members
from bench.caller import CallError
from bench.lab import Lab, cpu_microseconds, resident_kib
from factstore.client.http.failures import NotSent

SIZES = [100, 1000]
FEW = 300  # nodes, while the service and etcd are killed
JOIN = 50
STEPS = ["--join", str(JOIN), "--patience", "5"]
KILLED_AT = (0.25, 0.5)  # of the nodes that have joined: the worker, and etcd
PAUSE = 0.05  # seconds between two looks at the members
STACK = "slurm-"  # begins the name of the stack
PROGRAM = Path(__file__).parents[1] / "examples" / "slurm" / "simulate.py"


@dataclass(frozen=True)
class Simulated:
    """The table of a simulation, and what it cost the worker.

    :param lines: the table, without its first line.
    """

    head: str
    lines: list[str]
    worker_seconds: float
    worker_mib: int


def run(lab: Lab, nodes: int, *arguments: str) -> Simulated:
    """Run a simulation.

    :raises RuntimeError: it failed.
    """
    before = cpu_microseconds(lab.worker)
    head, *lines = _table(_start(lab, nodes, *arguments))
    spent = (cpu_microseconds(lab.worker) - before) / 1e6
    return Simulated(head, lines, spent, resident_kib(lab.worker) // 1024)


def run_with_kills(lab: Lab, nodes: int, *arguments: str) -> list[str]:
    """Kill the worker and etcd during a simulation; return its table.

    :raises RuntimeError: it failed.
    """
    simulation = _start(lab, nodes, *arguments)
    for part, kill in zip(KILLED_AT, (_kill_worker, _kill_etcd), strict=True):
        while _joined(lab) < part * nodes and simulation.poll() is None:
            time.sleep(PAUSE)
        kill(lab)
    return _table(simulation)[1:]


def _start(lab: Lab, nodes: int, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROGRAM, "--url", lab.url, "--nodes", str(nodes), *arguments],
        env={**os.environ, "OS_AUTH_TYPE": "none", "OS_ENDPOINT": lab.url},
        stdout=subprocess.PIPE,
        text=True,
    )


def _table(simulation: subprocess.Popen[str]) -> list[str]:
    printed, _ = simulation.communicate()
    if simulation.returncode:
        raise RuntimeError(f"the simulation failed: {printed}")
    return printed.splitlines()


def _joined(lab: Lab) -> int:
    """Return the number of members of the simulation's stack; 0 if the service does not answer."""
    with suppress(CallError, HTTPException, NotSent, OSError), lab.caller() as caller:
        stacks = caller.request("GET", "/v1/stacks?limit=1000").json()["stacks"]
        return sum(
            len(members.names(lab, stack["name"]))
            for stack in stacks
            if stack["name"].startswith(STACK)
        )
    return 0


def _kill_worker(lab: Lab) -> None:
    os.kill(lab.worker, signal.SIGKILL)


def _kill_etcd(lab: Lab) -> None:
    lab.etcd.kill()
    lab.etcd.start()
    lab.etcd.wait_ready()


def shown() -> Iterator[str]:
    """Yield lines with the costs of each size, and of some nodes with kills.

    The limits are those of the default configuration.
    """
    for number, nodes in enumerate(SIZES):
        with Lab(limits={}) as lab:
            found = run(lab, nodes, *STEPS)
        if not number:
            yield found.head
        yield from found.lines
        yield (
            f"  worker: {found.worker_seconds:.1f} s of a processor for these, "
            f"{found.worker_mib} MiB resident"
        )
    with Lab(limits={}) as lab:
        yield "the worker, etcd and nodes are killed:"
        yield from run_with_kills(lab, FEW, *STEPS, "--kill", str(JOIN))
