"""Measure many nodes of a Slurm cluster until all agree.

The nodes are those of thread.py, as threads of a few processes; each uses the public client as an agent
does.  They react to changes once these have settled.  The program prints the time, how often each node
wrote its slurm.conf, the number of requests and of refusals, and the size of the responses.  Use a
service of your own, because the program sends as many requests as it can.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import requests
from cluster import every
from machine import HEAD
from shares import Share

from factstore.client import connect

MOST = 60_000  # addresses of the network for tests of devices
_COUNTED = re.compile(
    r'^factstore_(?:requests_total\{.*status="(\d+)".*\}|(response_bytes)_total) ([0-9.e+]+)$',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Outcome:
    """The cost of one run.

    :param seconds: time until all nodes agreed.
    :param renders: number of times that each node wrote its file.
    :param refusals: number of requests that were answered with 429.
    :param mebibytes: size of the responses' bodies.
    """

    what: str
    seconds: float
    renders: list[int]
    requests: int
    refusals: int
    mebibytes: float


class Simulation:
    """The nodes of one stack.

    :param settle: seconds without a change after which each node acts.
    :param processes: number of processes for the nodes.
    """

    def __init__(
        self, stack: str, url: str, directory: Path, settle: float, processes: int
    ) -> None:
        self._stack = connect().stack(stack)
        self._url = url
        self._directory = directory
        self._names: list[str] = []
        self._shares = [Share(stack, directory, settle) for _ in range(processes)]
        self._ready = self._stack.waiter("cluster-ready")

    def grow(self, names: list[str], timeout: float) -> Outcome:
        """Start the nodes at the same time, and wait until all agree."""
        before, written, began = self._counters(), self._renders(), time.monotonic()
        for number, share in enumerate(self._shares):
            share.start(names[number :: len(self._shares)])
        self._names += names
        self._ready.arm(
            {"all": [every("compute", "services/slurmd", len(self._names) - 1), {"converged": {}}]},
            timeout=round(timeout),
        )
        end = self._ready.wait(2 * timeout)
        seconds = time.monotonic() - began
        if end.state != "met":
            raise SystemExit(f"cluster-ready is {end.state}: {end.reason}")
        counted = self._counters() - before
        return Outcome(
            f"{len(names)} come to {len(self._names) - len(names)}",
            seconds,
            [count - written.get(name, 0) for name, count in self._renders().items()],
            sum(count for name, count in counted.items() if name.isdigit()),
            counted["429"],
            counted["response_bytes"] / 2**20,
        )

    def check(self) -> None:
        """Exit unless all files are equal and contain all nodes."""
        texts = {(self._directory / name / "slurm.conf").read_text() for name in self._names}
        if len(texts) != 1:
            raise SystemExit(f"{len(texts)} different files")
        named = set(re.findall(r"^NodeName=(\S+)", texts.pop(), re.MULTILINE))
        missing = set(self._names) - named - {HEAD}
        if missing:
            raise SystemExit(f"missing: {', '.join(sorted(missing))}")

    def stop(self) -> None:
        """Delete the stack, which ends its nodes."""
        self._stack.delete_stack()
        for share in self._shares:
            share.stop()

    def _renders(self) -> dict[str, int]:
        return {name: count for share in self._shares for name, count in share.renders().items()}

    def _counters(self) -> Counter[str]:
        """Return the service's numbers of answered requests, by status, and of response bytes."""
        found: Counter[str] = Counter()
        for status, name, count in _COUNTED.findall(
            requests.get(f"{self._url}/metrics", timeout=30).text
        ):
            found[status or name] += round(float(count))
        return found


def table(outcomes: list[tuple[float, Outcome]]) -> str:
    """Return the outcomes as a table."""
    lines = [
        "settle   nodes                 seconds   renders a node (most)   requests   refused      MiB"
    ]
    for settle, outcome in outcomes:
        mean = sum(outcome.renders) / len(outcome.renders)
        lines.append(
            f"{settle:4.1f} s   {outcome.what:20}  {outcome.seconds:7.1f}   "
            f"{mean:14.1f} ({max(outcome.renders):3})   {outcome.requests:8}   {outcome.refusals:7}   "
            f"{outcome.mebibytes:6.1f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run for each settle time; return 0 if all nodes agreed each time."""
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
        action="append",
        help="seconds without a change; repeat it to compare several (default: 1)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=2,
        help="processes for the nodes (default: %(default)s)",
    )
    parser.add_argument("--timeout", type=float, default=900.0)
    args = parser.parse_args()
    if args.nodes + args.join > MOST:
        parser.error(f"--nodes and --join must not exceed {MOST} together")
    names = [HEAD, *(f"c{number + 1}" for number in range(args.nodes + args.join))]
    outcomes = []
    for settle in args.settle or [1.0]:
        with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
            stack = f"slurm-{time.time_ns()}"
            simulation = Simulation(stack, args.url, Path(scratch), settle, args.processes)
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
    multiprocessing.set_start_method("spawn")  # threads do not survive a fork
    sys.exit(main())
