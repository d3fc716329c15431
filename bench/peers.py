"""The same job for the service and for a peer, in turn: publish a fact, read it, and see a change.

Each uses its usual interface, by callers in this process: one caller for the times, and several at once
for the rates, whose own cost is the same or more for the service.  A row compares the same guarantee.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, Self
from urllib.parse import urlsplit

from bench.goals import at_least
from bench.lab import Lab, cpu_microseconds
from bench.report import Report
from bench.rounds import Runs

EACH = 50  # of a job in a round
CALLERS = 16
SECONDS = 0.5  # of a run with several callers
PATIENCE = 30.0


class Way(Protocol):
    """One caller's fact."""

    def publish(self, text: str) -> None:
        """Set the fact."""

    def read(self) -> str:
        """Return the newest fact."""

    def read_old(self) -> str:
        """Return the fact as the server that is asked knows it, which may be old."""

    def follow(self) -> AbstractContextManager[Callable[[str], None]]:
        """Return a follower; calling it waits until it has seen a text."""

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True)
class Peer:
    """Several facts of one service.

    :param new_way: returns a caller of a fact with a name.
    :param servers: process ids of all its servers.
    """

    name: str
    new_way: Callable[[str], Way]
    servers: Callable[[], Iterable[int]]


@dataclass
class Job:
    """Times in ms, and CPU microseconds of the servers and of the callers, for one job, by rounds.

    :ivar caller_us: empty if the callers were not in this process.
    """

    ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    caller_us: list[float] = field(default_factory=list)


SEEN = "publish until seen"
RATES = f", {CALLERS} callers"
PUBLISH, READ, READ_OLD = "publish", "read", "read that may be old"


class FactWay:
    """A fact of the service, followed by its event stream."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._caller = lab.caller()
        self._path = f"/v1/stacks/peers/facts/{name}"
        self._url = lab.url
        self._follow = f"/v1/stacks/peers/events?prefix={name}"

    def publish(self, text: str) -> None:
        self._caller.request("PUT", self._path, {"value": text})

    def read(self) -> str:
        return str(self._caller.request("GET", self._path).json()["value"])

    def read_old(self) -> str:
        path = f"{self._path}?consistency=stale"
        return str(self._caller.request("GET", path).json()["value"])

    def follow(self) -> AbstractContextManager[Callable[[str], None]]:
        return _Stream(self._url, self._follow)

    def close(self) -> None:
        self._caller.__exit__()


class _Stream:
    def __init__(self, url: str, path: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), PATIENCE)
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        self._socket.sendall(head.encode())
        self._rest = b""
        self(": factstore")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def __call__(self, text: str) -> None:
        mark = text.encode()
        while mark not in self._rest:
            data = self._socket.recv(65536)
            assert data, "the stream has ended"
            self._rest += data
        self._rest = b""


def factstore(lab: Lab) -> Peer:
    """Return the service as one of two sides."""
    return Peer("factstore", lambda name: FactWay(lab, name), lambda: [*lab.workers, *lab.stores])


def run(ours: Peer, theirs: Peer, rounds: int, reads: Iterable[str]) -> dict[str, tuple[Job, Job]]:
    """Do all jobs by one caller and by several, in turn; return them by name.

    :param reads: kinds of reads that the peer has.
    """
    singles = (PUBLISH, *reads)
    found = {
        name: (Job(), Job()) for name in (*singles, SEEN, *(f"{job}{RATES}" for job in singles))
    }
    with ExitStack() as stack:
        sides = [(peer, _ways(stack, peer)) for peer in (ours, theirs)]
        followers = [stack.enter_context(ways[0].follow()) for _, ways in sides]
        for number in range(rounds + 1):
            for side, (peer, ways) in enumerate(sides):
                first, seen = _jobs(ways[0]), followers[side]
                for job in singles:
                    _one(found[job][side], peer, first[job], f"{number}-{job}")
                _one(
                    found[SEEN][side],
                    peer,
                    lambda text, publish=first[PUBLISH], seen=seen: (publish(text), seen(text)),
                    f"{number}-seen",
                )
                for job in singles:
                    calls = [_jobs(way)[job] for way in ways]
                    _many(found[f"{job}{RATES}"][side], peer, calls)
    for pair in found.values():
        for job in pair:  # the first round warms up
            del job.ms[0], job.cpu_us[0], job.caller_us[0]
    return found


def _jobs(way: Way) -> Mapping[str, Callable[[str], object]]:
    """Return what one caller can do, by the name of the job; a read ignores the text."""
    return {
        PUBLISH: way.publish,
        READ: lambda _: way.read(),
        READ_OLD: lambda _: way.read_old(),
    }


def _ways(stack: ExitStack, peer: Peer) -> list[Way]:
    ways = []
    for number in range(CALLERS):
        ways.append(peer.new_way(f"caller{number}"))
        stack.callback(ways[-1].close)
        ways[-1].publish("first")
    return ways


def _cpu(peer: Peer) -> int:
    return sum(map(cpu_microseconds, peer.servers()))


def _one(job: Job, peer: Peer, do: Callable[[str], object], mark: str) -> None:
    with _measured(job, peer, lambda: EACH):
        for number in range(EACH):
            do(f"text-{mark}-{number:04d}-{'x' * 20}")


def _many(job: Job, peer: Peer, calls: list[Callable[[str], object]]) -> None:
    """Let all callers work for some time; the time of one job is that divided by their number."""
    counts = [0] * len(calls)
    end = time.perf_counter() + SECONDS

    def work(caller: int) -> None:
        while not counts[caller] or time.perf_counter() < end:
            calls[caller](f"rate-{time.perf_counter():.9f}-{'x' * 20}")
            counts[caller] += 1

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(len(calls))]
    with _measured(job, peer, lambda: sum(counts)):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@contextmanager
def _measured(job: Job, peer: Peer, count: Callable[[], int]) -> Iterator[None]:
    """Add what one job takes while the context is active.

    :param count: returns how often it was done.
    """
    served, called, began = _cpu(peer), time.process_time(), time.perf_counter()
    yield
    done, took = count(), time.perf_counter() - began
    job.ms.append(took * 1000 / done)
    job.caller_us.append((time.process_time() - called) * 1e6 / done)
    job.cpu_us.append((_cpu(peer) - served) / done)


def as_jobs(found: dict[str, Runs]) -> tuple[Job, Job]:
    """Return runs of the service and of a peer, in this order, as times of one request."""
    ours, theirs = (
        Job(
            [1000 / run.per_second for run in runs.runs],
            [run.worker_us + run.store_us for run in runs.runs],
        )
        for runs in found.values()
    )
    return ours, theirs


def show(
    report: Report,
    theirs: str,
    found: dict[str, tuple[Job, Job]],
    least: float,
    key: str,
    guarantees: Mapping[str, str],
) -> None:
    """Add the table, and whether each job meets the target.

    :param guarantees: what both promise, by the name of the job with one caller.
    """
    report.section(
        f"{theirs}: the same job, callers in Python",
        [
            "job",
            "factstore: ms",
            f"{theirs}: ms",
            "CPU µs: worker and etcd",
            f"{theirs}'s servers",
            "caller of factstore",
            f"caller of {theirs}",
            "times as fast (rounds)",
            "target",
        ],
    )
    for name, (ours, other) in found.items():
        ratios = [slow / fast for fast, slow in zip(ours.ms, other.ms, strict=True)]
        ratio = _ratio((ours, other))
        what = f"{theirs}, {name}, times as fast"
        report.row(
            name,
            f"{statistics.median(ours.ms):.3g}",
            f"{statistics.median(other.ms):.3g}",
            _microseconds(ours.cpu_us),
            _microseconds(other.cpu_us),
            _microseconds(ours.caller_us),
            _microseconds(other.caller_us),
            f"{ratio:.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
            report.goal(what, ratio, at_least(least)),
        )
    for job, guarantee in guarantees.items():
        report.line(f"{job}: {guarantee}")
    report.figure(f"{key}_seen_ms", statistics.median(found[SEEN][1].ms))
    report.figure(f"{key}_our_seen_ms", statistics.median(found[SEEN][0].ms))
    report.figure(f"{key}_seen_ratio", _ratio(found[SEEN]))
    for figure, job in (("publish", PUBLISH), ("read", READ)):
        most = next(jobs for name, jobs in reversed(found.items()) if name.startswith(f"{job}, "))
        report.figure(f"{key}_{figure}_ratio", _ratio(most))


def _microseconds(each: list[float]) -> str:
    return f"{statistics.median(each):.0f}" if each else ""


def _ratio(jobs: tuple[Job, Job]) -> float:
    return statistics.median(slow / fast for fast, slow in zip(jobs[0].ms, jobs[1].ms, strict=True))
