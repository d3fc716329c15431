"""Measure many nodes of a Slurm cluster in one process until all agree.

The nodes are those of thread.py.  They first react to every change at once, and then let changes
settle.  The program prints the time, how often each node wrote its slurm.conf, and the number of
requests.  Use a service of your own, because the program sends as many requests as it can.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from cluster import every
from machine import HEAD, address_of
from thread import Node, Texts

from factstore.client import Stack, connect

TTL = 300  # one process sends the heartbeats of all nodes, so they can be late
MOST = 245  # addresses that are reserved for examples
_COUNTED = re.compile(r"^factstore_requests_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """The cost of one run.

    :param seconds: time until all nodes agreed.
    :param renders: number of times that each node wrote its file.
    """

    what: str
    seconds: float
    renders: list[int]
    requests: int


class Simulation:
    """The nodes of one stack, as threads.

    :param settle: seconds without a change after which each node acts.
    """

    def __init__(self, stack: str, url: str, directory: Path, settle: float) -> None:
        self._stack = connect().stack(stack)
        self._url = url
        self._directory = directory
        self._settle = settle
        self._texts = Texts()
        self._nodes: dict[str, Node] = {}
        self._threads: list[threading.Thread] = []
        self._ready = self._stack.waiter("cluster-ready")

    def grow(self, names: list[str], timeout: float) -> Outcome:
        """Start the nodes at the same time, and wait until all agree."""
        before, written, began = self._requests(), self._renders(), time.monotonic()
        for name in names:
            directory = self._directory / name
            directory.mkdir()
            facts: dict[str, object] = {"ip": address_of(name), "cpus": 4}
            if name == HEAD:
                del facts["cpus"]
            stack: Stack = connect().stack(self._stack.name)  # separate connections
            conf = directory / "slurm.conf"
            node = Node(
                stack,
                name,
                facts,
                texts=self._texts,
                conf=conf,
                settle=self._settle,
                ttl=TTL,
            )
            thread = threading.Thread(target=node.run, name=name)
            thread.start()
            self._nodes[name] = node
            self._threads.append(thread)
        computes = len(self._nodes) - 1
        self._ready.arm(
            {"all": [every("compute", "services/slurmd", computes), {"converged": {}}]},
            timeout=round(timeout),
        )
        end = self._ready.wait(2 * timeout)
        if end.state != "met":
            raise SystemExit(f"cluster-ready is {end.state}: {end.reason}")
        renders = self._renders()
        return Outcome(
            f"{len(names)} come to {len(self._nodes) - len(names)}",
            time.monotonic() - began,
            [renders[name] - written.get(name, 0) for name in renders],
            self._requests() - before,
        )

    def check(self) -> None:
        """Exit unless all files are equal and contain all nodes."""
        texts = {(self._directory / name / "slurm.conf").read_text() for name in self._nodes}
        if len(texts) != 1:
            raise SystemExit(f"{len(texts)} different files")
        missing = [name for name in self._nodes if f"{name} " not in texts.copy().pop()]
        if [name for name in missing if name != HEAD]:
            raise SystemExit(f"missing: {', '.join(missing)}")

    def stop(self) -> None:
        """Delete the stack, which ends its nodes."""
        self._stack.delete_stack()
        for thread in self._threads:
            thread.join()

    def _renders(self) -> dict[str, int]:
        return {name: node.renders for name, node in self._nodes.items()}

    def _requests(self) -> int:
        metrics = requests.get(f"{self._url}/metrics", timeout=30).text
        return round(sum(float(count) for count in _COUNTED.findall(metrics)))


def table(outcomes: list[tuple[float, Outcome]]) -> str:
    """Return the outcomes as a table."""
    lines = ["settle   nodes                 seconds   renders a node (most)   requests"]
    for settle, outcome in outcomes:
        mean = sum(outcome.renders) / len(outcome.renders)
        lines.append(
            f"{settle:4.1f} s   {outcome.what:20}  {outcome.seconds:7.1f}   "
            f"{mean:14.1f} ({max(outcome.renders):3})   {outcome.requests:8}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run without and with settling; return 0 if all nodes agreed each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="root URL of the service, for its /metrics")
    parser.add_argument(
        "--nodes",
        type=int,
        default=200,
        help="initial number of compute nodes (default: %(default)s)",
    )
    parser.add_argument(
        "--join",
        type=int,
        default=20,
        help="compute nodes to add afterwards (default: %(default)s)",
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=1.0,
        help="seconds without a change (default: %(default)s)",
    )
    parser.add_argument("--timeout", type=float, default=900.0)
    args = parser.parse_args()
    if args.nodes + args.join > MOST:
        parser.error(f"--nodes and --join must not exceed {MOST} together")
    names = [HEAD, *(f"c{number + 1}" for number in range(args.nodes + args.join))]
    outcomes = []
    for settle in (0.0, args.settle):
        with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
            stack = f"slurm-{time.time_ns()}"
            simulation = Simulation(stack, args.url, Path(scratch), settle)
            try:
                for group in (names[: args.nodes + 1], names[args.nodes + 1 :]):
                    if group:
                        outcomes.append((settle, simulation.grow(group, args.timeout)))
                simulation.check()
            finally:
                simulation.stop()
    print(table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
