"""Measure many nodes of a Slurm cluster until all agree.

The nodes are those of node.py, in a few processes; each uses the public client as an agent does.  They
react to changes once these have settled.  The program prints the time, how often each node
wrote its slurm.conf, the number of requests and of refusals, the size of the responses, and what the
workers of the service need.  Use a service of your own, because the program sends as many requests as
it can.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import requests
from cluster import every
from machine import HEAD
from node import COMMON, RARE, READERS
from progress import Progress
from shares import Counters, Share
from workers import processor_seconds, resident_mebibytes

from factstore.client import Event, connect
from factstore.client.counts import counted

SETTLE = 0.3  # seconds, as in machine.py
TTL = 300  # seconds; a process sends the heartbeats of many nodes, so they can be late
DOOMED_TTL = 10  # seconds until nodes that were killed expire
MOST = 60_000  # addresses of the network for tests of devices
_COUNTED = re.compile(
    r'^factstore_(?:requests_total\{.*status="(\d+)".*\}|(response_bytes)_total) ([0-9.e+]+)$',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Outcome:
    """The cost of one step.

    :param seconds: time until all nodes agreed.
    :param renders: number of times that each node wrote its file.
    :param woken: number of nodes that received a changed context.
    :param refusals: number of requests that were answered with 429.
    :param mebibytes: size of the responses' bodies.
    :param processor_seconds: of the workers.
    :param memory_mebibytes: of the workers, after the step.
    """

    what: str
    seconds: float
    renders: list[int]
    woken: int
    requests: int
    refusals: int
    mebibytes: float
    processor_seconds: float
    memory_mebibytes: float


class Simulation:
    """The nodes of one stack.

    :param settle: seconds without a change after which each node acts.
    :param patience: seconds for which their requests wait.
    :param processes: number of processes for the nodes.
    :param timeout: seconds that a step may take.
    :param progress_seconds: between two lines about the progress of a step.
    :param workers: process ids of the service's workers, if they are known.
    """

    def __init__(
        self,
        stack: str,
        url: str,
        directory: Path,
        settle: float,
        patience: float,
        processes: int,
        timeout: float,
        progress_seconds: float,
        workers: Sequence[int] = (),
    ) -> None:
        self._stack = connect().stack(stack)
        self._url = url
        self._directory = directory
        self._timeout = timeout
        self._patience = patience
        self._progress_seconds = progress_seconds
        self._workers = workers
        self._names: list[str] = []
        self._arguments = (stack, directory, settle, patience)
        self._shares = [Share(*self._arguments, TTL) for _ in range(processes)]
        self._ready = self._stack.waiter("cluster-ready")
        self._agreed: Progress | None = None  # that of the last step

    def grow(self, names: list[str]) -> Outcome:
        """Start nodes at the same time."""

        def start() -> None:
            for number, share in enumerate(self._shares):
                share.start(names[number :: len(self._shares)])
            self._names += names

        return self._step(f"{len(names)} come to {len(self._names)}", start)

    def change(self, what: str, path: str, value: object) -> Outcome:
        """Put a fact."""
        return self._step(what, lambda: self._stack.put(path, value))

    def kill(self, names: list[str]) -> Outcome:
        """Start nodes and kill them when half of them have joined.

        The time begins when all of them have expired.
        """
        doomed = Share(*self._arguments, DOOMED_TTL)

        def die() -> None:
            joined: set[str] = set()
            expired: set[str] = set()
            killed = False
            with self._stack.watch(types=["member.join", "member.expire"]) as watch:
                doomed.start(names)
                for event in watch:
                    for change in event.changes if isinstance(event, Event) else ():
                        if change.name in names:
                            (joined if change.type == "member.join" else expired).add(change.name)
                    if not killed and 2 * len(joined) >= len(names):
                        doomed.kill()
                        killed = True
                    if killed and joined == expired:
                        return

        return self._step(f"{len(names)} come and are killed", die)

    def _step(self, what: str, act: Callable[[], object]) -> Outcome:
        """Do something, and wait until all nodes agree."""
        if self._agreed is not None:
            self._settle(self._agreed)
        counted, before = self._total(), self._counters()
        used = processor_seconds(self._workers)
        progress = Progress(what, self._progress_seconds)
        act()
        began = time.monotonic()
        self._ready.arm(
            {"all": [every("compute", "services/slurmd", len(self._names) - 1), {"converged": {}}]},
            timeout=round(self._timeout),
        )
        end = self._ready.wait(2 * self._timeout, on_progress=progress.show_waiter)
        seconds = time.monotonic() - began
        if end.state != "met":
            raise SystemExit(f"{what}: cluster-ready is {end.state}: {end.reason}")
        counted = self._total() - counted
        used = processor_seconds(self._workers) - used
        new = Counters(0, 0, 0)
        after = [(found, before.get(name, new)) for name, found in self._counters().items()]
        self._check()
        self._agreed = progress
        return Outcome(
            what,
            seconds,
            [found.renders - former.renders for found, former in after],
            sum(found.woken > former.woken for found, former in after),
            sum(count for name, count in counted.items() if name.isdigit()),
            counted["429"],
            counted["response_bytes"] / 2**20,
            used,
            resident_mebibytes(self._workers),
        )

    def _settle(self, progress: Progress) -> None:
        """Wait until all nodes have a copy of the newest context.

        Nodes also receive what does not concern them, but only when a request ends.
        """
        newest = int(self._stack.convergence().target.partition(".")[2])
        end = time.monotonic() + self._timeout
        while late := sum(found.revision < newest for found in self._counters().values()):
            if time.monotonic() > end:
                raise SystemExit("a node does not follow the stack any more")
            progress.show(
                f"agreed; waiting for the requests of {counted(late, 'node')} to end, which takes up "
                f"to {self._patience:g} seconds"
            )
            time.sleep(0.2)

    def _check(self) -> None:
        """Exit unless all files are equal and contain all nodes and no others."""
        texts = {(self._directory / name / "slurm.conf").read_text() for name in self._names}
        if len(texts) != 1:
            raise SystemExit(f"{len(texts)} different files")
        named = set(re.findall(r"^NodeName=(\S+)", texts.pop(), re.MULTILINE))
        wrong = named ^ {name for name in self._names if name != HEAD}
        if wrong:
            raise SystemExit(f"missing or departed: {', '.join(sorted(wrong))}")

    def stop(self) -> None:
        """Delete the stack, which ends its nodes; without the service, kill them."""
        try:
            self._stack.delete_stack()
        except BaseException:
            for share in self._shares:
                share.kill()
            raise
        for share in self._shares:
            share.stop()

    def _counters(self) -> dict[str, Counters]:
        return {name: found for share in self._shares for name, found in share.counters().items()}

    def _total(self) -> Counter[str]:
        """Return the service's numbers of answered requests, by status, and of response bytes."""
        found: Counter[str] = Counter()
        for status, name, count in _COUNTED.findall(
            requests.get(f"{self._url}/metrics", timeout=30).text
        ):
            found[status or name] += round(float(count))
        return found


HEAD_LINE = (
    "settle   what                             seconds   renders a node (most)   woken   requests"
    "   refused      MiB   worker CPU s, MiB"
)


def row(settle: float, outcome: Outcome) -> str:
    """Return a line of the table."""
    mean = sum(outcome.renders) / len(outcome.renders)
    return (
        f"{settle:4.1f} s   {outcome.what:31}  {outcome.seconds:7.1f}   "
        f"{mean:14.2f} ({max(outcome.renders):3})   {outcome.woken:5}   {outcome.requests:8}   "
        f"{outcome.refusals:7}   {outcome.mebibytes:6.1f}   "
        f"{outcome.processor_seconds:12.1f}, {outcome.memory_mebibytes:3.0f}"
    )


def steps(
    simulation: Simulation, nodes: int, names: list[str], args: argparse.Namespace
) -> Iterator[Outcome]:
    """Yield the outcome of each step.

    :param nodes: the initial number of compute nodes.
    """
    count = nodes + 1
    yield simulation.grow(names[:count])
    if args.join:
        yield simulation.grow(names[count : count + args.join])
    count += args.join
    if args.changes:
        yield simulation.change("a fact changes that all read", COMMON, 60)
        readers = len(set(READERS) & set(names[:count]))
        yield simulation.change(f"a fact changes that {readers} read", RARE, 1)
    if args.kill:
        yield simulation.kill(names[count : count + args.kill])


def main() -> int:
    """Run for each size and settle time; return 0 if all nodes agreed each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="root URL of the service, for its /metrics")
    parser.add_argument(
        "--nodes",
        type=int,
        action="append",
        help="initial number of compute nodes; repeat it to see how the costs grow (default: 200)",
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
        help="seconds without a change; repeat it to compare several (default: 0.3, as that of the "
        "agents in this example)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=2,
        help="processes for the nodes (default: %(default)s)",
    )
    parser.add_argument(
        "--kill",
        type=int,
        default=0,
        help="compute nodes to start and kill at the end, (default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=50.0,
        help="seconds for which a request waits for a change, and about which the program waits "
        "between two steps (default: %(default)s)",
    )
    parser.add_argument(
        "--changes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="change facts after the nodes have started (default: %(default)s)",
    )
    parser.add_argument(
        "--worker",
        type=int,
        action="append",
        default=[],
        metavar="PID",
        help="process id of a worker of the service on this machine, such as pgrep -f 'worker "
        ".factstore-api' prints; repeat it for several",
    )
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds that a step may take")
    parser.add_argument(
        "--progress",
        type=float,
        default=5.0,
        help="seconds between two lines about the progress of a step, on the standard "
        "error output (default: %(default)s)",
    )
    args = parser.parse_args()
    sizes = args.nodes or [200]
    count = max(sizes) + args.join + args.kill
    if count > MOST:
        parser.error(f"there must not be more than {MOST} nodes")
    names = [HEAD, *(f"c{number + 1}" for number in range(count))]
    print(HEAD_LINE, flush=True)
    for nodes, settle in product(sizes, args.settle or [SETTLE]):
        with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
            simulation = Simulation(
                f"slurm-{time.time_ns()}",
                args.url,
                Path(scratch),
                settle,
                args.patience,
                args.processes,
                args.timeout,
                args.progress,
                args.worker,
            )
            try:
                for outcome in steps(simulation, nodes, names, args):
                    print(row(settle, outcome), flush=True)
            finally:
                simulation.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
