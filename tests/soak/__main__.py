"""Run the service under a steady load, and check that its memory, files and lag stay flat.

``make soak`` runs it for an hour; ``SOAKARGS='--minutes 10'`` for ten minutes.  It prints a line for
each part of the time, and writes a plot.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from tests.service import ApiServer
from tests.soak.load import Load
from tests.soak.plot import plot
from tests.soak.samples import Sample, growth

PARTS = 24
HISTORY = {"watch": {"history_events": 2000}, "etcd": {"compaction_window": 60}}


def main() -> int:
    """Run a soak, and return 0 if everything stayed flat."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--writes", type=float, default=50.0, help="writes of facts in a second")
    parser.add_argument("--readers", type=int, default=10, help="readers of the stream")
    parser.add_argument("--plot", type=Path, default=Path("build/soak.svg"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        samples, load = _run(Path(directory), options)
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    options.plot.write_text(plot("Soak", _lines(samples)))
    problems = [*growth(samples), *load.failed]
    print(f"{load.sent} requests in {options.minutes:g} minutes; the plot is {options.plot}")
    for problem in problems:
        print(f"FAILED {problem}")
    print("flat" if not problems else "not flat")
    return bool(problems)


def _run(directory: Path, options: argparse.Namespace) -> tuple[list[Sample], Load]:
    etcd = EtcdServer(directory / "etcd")
    samples: list[Sample] = []
    try:
        etcd.start()
        etcd.wait_ready(60)
        with ApiServer([etcd.endpoint], directory / "api", options=HISTORY) as api:
            (worker,) = api.workers()
            load = Load(api.url, options.members, options.writes, options.readers)
            load.join()
            load.start()
            began, part = time.monotonic(), options.minutes * 60 / PARTS
            print(f"{'s':>6} {'MiB':>7} {'files':>6} {'etcd MiB':>9} {'lag ms':>7} {'p99 ms':>7}")
            for number in range(PARTS):
                time.sleep(max(0.0, began + (number + 1) * part - time.monotonic()))
                samples.append(_sample(time.monotonic() - began, worker, etcd.child.pid, load))
                _show(samples[-1])
            load.stop()
            assert api.workers() == [worker], "the worker was replaced"
    finally:
        etcd.kill()
    return samples, load


def _sample(at: float, worker: int, etcd: int, load: Load) -> Sample:
    lags = sorted(load.take_lags()) or [float("inf")]
    files = len(os.listdir(f"/proc/{worker}/fd"))
    late = lags[int(len(lags) * 0.99)]
    return Sample(at, _mib(worker), files, _mib(etcd), statistics.median(lags), late)


def _mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _show(each: Sample) -> None:
    print(
        f"{each.at:6.0f} {each.mib:7.1f} {each.files:6} {each.etcd_mib:9.1f}"
        f" {1000 * each.lag:7.1f} {1000 * each.late:7.1f}",
        flush=True,
    )


def _lines(samples: list[Sample]) -> dict[str, list[tuple[float, float]]]:
    return {
        "worker, MiB": [(each.at, each.mib) for each in samples],
        "worker, files": [(each.at, each.files) for each in samples],
        "etcd, MiB": [(each.at, each.etcd_mib) for each in samples],
        "lag, ms": [(each.at, 1000 * each.lag) for each in samples],
    }


if __name__ == "__main__":
    sys.exit(main())
