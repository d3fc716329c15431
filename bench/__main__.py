"""``python -m bench``: run everything and print it.

The service and etcd's own HTTP gateway are loaded in turn, A B A B, so that both meet the same noise;
what is quoted is the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bench import load, watchers
from bench.lab import Lab, cpu_microseconds

ROUNDS = 5
SECONDS = 4
WATCHERS = 1000
EVENTS = 15


def main() -> int:
    """Run; 0 when every answer was right."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="a run (default: %(default)s)")
    parser.add_argument("--watchers", type=int, default=WATCHERS, help="(default: %(default)s)")
    args = parser.parse_args()
    if load.find_wrk() is None:
        sys.stderr.write("bench: wrk is missing; install the package wrk\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="factstore-bench-") as state, Lab(Path(state)) as lab:
        print(
            f"{platform.machine()}, {lab.cores} cores, Python {platform.python_version()}, "
            f"etcd {lab.etcd.version()}, gunicorn {version('gunicorn')}, "
            f"gevent {version('gevent')}, grpcio {version('grpcio')}; one worker, "
            f"{load.CONNECTIONS} connections, values of some 40 bytes"
        )
        for name in ("GET", "PUT"):
            _compare(lab, name, args.rounds, args.seconds)
        _watch(lab, args.watchers)
    return 0


def _compare(lab: Lab, name: str, rounds: int, seconds: int) -> None:
    """Load ours and the gateway in turn."""
    ratios, ours, theirs, worker_cost, etcd_cost = [], [], [], [], []
    load.run(load.factstore(name, lab), 1)  # warm both, uncounted
    load.run(load.gateway(name, lab), 1)
    for _ in range(rounds):
        worker, etcd = cpu_microseconds(lab.worker), cpu_microseconds(lab.etcd.child.pid)
        mine = load.run(load.factstore(name, lab), seconds)
        worker_cost.append((cpu_microseconds(lab.worker) - worker) / mine.requests)
        etcd_cost.append((cpu_microseconds(lab.etcd.child.pid) - etcd) / mine.requests)
        gateway = load.run(load.gateway(name, lab), seconds)
        ours.append(mine.per_second)
        theirs.append(gateway.per_second)
        ratios.append(mine.per_second / gateway.per_second)
    print(
        f"{name}: {statistics.median(ratios):.3f} of etcd's gateway "
        f"(pairs {min(ratios):.3f} to {max(ratios):.3f}); "
        f"{statistics.median(ours):.0f}/s against {statistics.median(theirs):.0f}/s; "
        f"CPU a request: worker {statistics.median(worker_cost):.0f} us, "
        f"etcd {statistics.median(etcd_cost):.0f} us"
    )


def _watch(lab: Lab, count: int) -> None:
    """Connect watchers, write, and time the way to the last of them."""
    result = watchers.run(lab, count, EVENTS)
    first, last = statistics.median(result.first_ms), statistics.median(result.last_ms)
    print(
        f"watch: PUT to the last of {count} SSE watchers, median of {EVENTS} events "
        f"{last:.0f} ms (first {first:.0f} ms, "
        f"slowest event {max(result.last_ms):.0f} ms); "
        f"{result.kib_per_watcher:.1f} KiB of the worker's memory for each"
    )


if __name__ == "__main__":
    sys.exit(main())
