"""Measure the effect on others when thousands of members expire at once, against etcd alone.

Members join, their leases are renewed in etcd without the service, and then all renewals stop.
Meanwhile one caller of another project puts and gets facts and, in turn, keys of the same etcd.  The
baseline is the time before the first member expires.  In the same run, as many bare leases with a key
each expire in etcd, without any other load than the caller.

The benchmark checks that each expiry is reported exactly once, that each bound fact expires together
with its member, and that the waiter and the convergence of the stack depend only on the survivor
afterwards.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from bench import members
from bench.gateway import Gateway, Leases
from bench.lab import Lab, cpu_microseconds
from bench.stream import Change, Stream

TTL = 5  # seconds
BOUND = 10  # members with a bound fact
PAUSE = 0.001  # between two requests of the caller
PATIENCE = 120.0  # seconds in which all members must expire
OPERATIONS = ("PUT", "GET", "etcd put", "etcd get")
QUANTILES = {0.5: "median", 0.99: "99th percentile", 1.0: "longest"}
_EXPIRED, _MET = b'"member.expire"', b'"waiter.met"'


@dataclass(frozen=True)
class Sample:
    """The start of a request, and its time in ms."""

    operation: str
    began: float
    took: float


@dataclass(frozen=True)
class Busy:
    """Usage of a core, before the first death and from the first to the last."""

    before: float
    during: float


@dataclass(frozen=True)
class Deaths:
    """The expiry of all members of one stack.

    :param first: time at which the first death was reported, on the clock of the samples.
    :param last: time at which the last death was reported.
    :param silent: time from which on nothing was renewed any more.
    :param etcd: usage of a core by etcd, including the caller's requests.
    :param worker: usage of a core by the worker.
    :param waiter_ms: time from the last death to the waiter's end, as a watcher receives them.
    :param converged_ms: time from the survivor's heartbeat to the response that reports convergence.
    """

    samples: list[Sample]
    first: float
    last: float
    silent: float
    etcd: Busy
    worker: Busy
    waiter_ms: float = 0.0
    converged_ms: float = 0.0

    @property
    def seconds(self) -> float:
        """Time from the first death to the last."""
        return self.last - self.first

    @property
    def late(self) -> float:
        """Time from the end of the ttl of all members to the last death."""
        return self.last - self.silent - TTL

    def quantile(self, operation: str, part: float, *, during: bool) -> float:
        """Return a quantile of an operation's times, before the deaths or during them."""
        times = sorted(
            sample.took
            for sample in self.samples
            if sample.operation == operation
            and (
                self.first <= sample.began <= self.last
                if during
                else sample.began + sample.took / 1000 < self.first
            )
        )
        assert times, f"no {operation} {'during' if during else 'before'} the deaths"
        return times[min(len(times) - 1, int(part * len(times)))]


def alone(lab: Lab, count: int, number: int) -> Deaths:
    """Let as many bare leases expire in etcd, with a key each."""
    root = f"/alone{number}/".encode()
    with closing(Leases(lab.etcd.endpoint)) as leases:
        held: list[int] = []
        with leases.kept(held):
            for each in range(count):
                held += leases.hold([root + str(each).encode()], TTL)
        silent = time.perf_counter()
        with leases.deletions(root, root[:-1] + b"0") as seen:
            samples, etcd, worker = _ask(lab, _etcd(lab), lambda: len(seen), count)
            assert len(seen) == count, f"{len(seen)} deletions of {count}"
            return Deaths(samples, seen[0], seen[-1], silent, etcd, worker)


def run(lab: Lab, count: int, number: int) -> Deaths:
    """Let *count* members of one stack expire.

    :raises AssertionError: a death was not reported exactly once, or the stack did not converge.
    """
    assert lab.keystone is not None
    stack = f"doomed{number}"
    base = f"{lab.url}/v1/stacks/{stack}"
    with closing(Leases(lab.etcd.endpoint)) as leases, lab.session() as session:

        def ask(method: str, path: str, **body: object) -> dict[str, object]:
            answer = session.request(method, f"{base}/{path}", json=body or None, timeout=60)
            answer.raise_for_status()
            return answer.json() if answer.content else {}

        survivor = members.join(lab, stack, ["survivor"], ttl=3600)["survivor"]
        ask("PUT", "facts/nodes/survivor/up", value=True)
        held: list[int] = []
        with leases.kept(held):
            names = [f"m{n}" for n in range(count)]
            joined = members.join(lab, stack, names, ttl=TTL, leases=held)
            bound = dict(list(joined.items())[:BOUND])
            for name, generation in bound.items():
                ask("PUT", f"facts/nodes/{name}/ip", value=1, member=name, generation=generation)
            # No other member publishes this fact, so the waiter is met when the last one has expired.
            every = {"group": "compute", "fact": "up", "equals": True, "at_least": 1}
            ask("PUT", "waiters/all-up", success={"every_member": every}, timeout=3600)
            operations = _service(lab) | _etcd(lab)
            stream = Stream(lab.url, stack, lab.token, [_EXPIRED, _MET])
        silent = time.perf_counter()
        with stream:
            samples, etcd, worker = _ask(lab, operations, lambda: stream.seen[_EXPIRED], count)
            _until(lambda: stream.seen[_MET] > 0)
            changes = stream.changes()
            deaths = [change for change in changes if change.what["type"] == "member.expire"]
            began = time.perf_counter()
            beat = {"generation": survivor, "applied": deaths[-1].cursor}
            ask("POST", "members/survivor/heartbeat", **beat)
            while not ask("GET", "convergence?group=compute&wait=50")["converged"]:
                assert time.perf_counter() - began < PATIENCE, "the stack does not converge"
            converged = time.perf_counter()
            # A duplicate would have been reported by now.
            _check(stream.changes(), joined, bound)
        assert members.names(lab, stack) == ["survivor"]
    met = next(change.at for change in changes if change.what["type"] == "waiter.met")
    return Deaths(
        samples,
        deaths[0].at,
        deaths[-1].at,
        silent,
        etcd,
        worker,
        (met - deaths[-1].at) * 1000,
        (converged - began) * 1000,
    )


def _check(changes: Sequence[Change], joined: Collection[str], bound: Iterable[str]) -> None:
    """Check that each death was reported once, and bound facts together with their member."""
    died = Counter(
        change.what["name"] for change in changes if change.what["type"] == "member.expire"
    )
    wrong = {name: died[name] for name in {*joined, *died} if died[name] != 1 or name not in joined}
    assert not wrong, f"not reported exactly once: {sorted(wrong.items())[:5]}"
    at = {c.what["name"]: c.cursor for c in changes if c.what["type"] == "member.expire"}
    expired = [
        (change.what["path"], change.cursor)
        for change in changes
        if change.what["type"] == "fact.expire"
    ]
    expected = [(f"nodes/{name}/ip", at[name]) for name in bound]
    assert sorted(expired) == sorted(expected), "bound facts did not expire with their members"


def _service(lab: Lab) -> dict[str, Callable[[int], None]]:
    """Return PUT and GET of another project's fact."""
    assert lab.keystone is not None
    session = lab.session()
    session.headers["X-Auth-Token"] = lab.keystone.accounts.issue("outsider")
    url = f"{lab.url}/v1/stacks/bystander/facts/tick"

    def put(number: int) -> None:
        session.put(url, json={"value": number}, timeout=60).raise_for_status()

    def get(number: int) -> None:
        answer = session.get(url, timeout=60)
        answer.raise_for_status()
        assert answer.json()["value"] == number

    return {"PUT": put, "GET": get}


def _etcd(lab: Lab) -> dict[str, Callable[[int], None]]:
    gateway = Gateway(lab.etcd.endpoint)

    def put(number: int) -> None:
        gateway.put(b"/bystander", str(number))

    def get(number: int) -> None:
        gateway.get(b"/bystander")

    return {"etcd put": put, "etcd get": get}


def _ask(
    lab: Lab,
    operations: Mapping[str, Callable[[int], None]],
    dead: Callable[[], int],
    count: int,
) -> tuple[list[Sample], Busy, Busy]:
    """Call the operations in turn until all have expired; return samples and usage."""
    samples: list[Sample] = []
    meters = [_meters(lab)]
    end = time.perf_counter() + PATIENCE
    number = 0
    while (now := dead()) < count:
        if now and len(meters) == 1:
            meters.append(_meters(lab))
        assert time.perf_counter() < end, f"{count - now} deaths were not reported"
        number += 1
        for name, call in operations.items():
            began = time.perf_counter()
            call(number)
            samples.append(Sample(name, began, (time.perf_counter() - began) * 1000))
            time.sleep(PAUSE)
    assert len(meters) == 2, "too few deaths for a measurement"
    meters.append(_meters(lab))
    etcd, worker = (
        Busy(*(_part(meters[i], meters[i + 1], which) for i in range(2))) for which in (1, 2)
    )
    return samples, etcd, worker


def _meters(lab: Lab) -> tuple[float, int, int]:
    """Return the time, and the CPU time of etcd and of the worker."""
    return time.perf_counter(), cpu_microseconds(lab.etcd_pid), cpu_microseconds(lab.worker)


def _part(first: tuple[float, int, int], last: tuple[float, int, int], which: int) -> float:
    return (last[which] - first[which]) / 1_000_000 / (last[0] - first[0])


def _until(condition: Callable[[], bool]) -> None:
    end = time.perf_counter() + PATIENCE
    while not condition():
        assert time.perf_counter() < end, "the waiter is not met"
        time.sleep(0.01)


def shown(alone: Sequence[Deaths], found: Sequence[Deaths], count: int) -> Iterator[str]:
    """Yield the figures as lines, medians over the pairs."""

    def median(take: Callable[[Deaths], float], of: Sequence[Deaths] = found) -> float:
        return statistics.median(take(deaths) for deaths in of)

    ratio = statistics.median(
        ours.seconds / bare.seconds for bare, ours in zip(alone, found, strict=True)
    )
    yield (
        f"{count} deaths are reported within {median(lambda d: d.seconds):.1f} s, each once, the last "
        f"one {median(lambda d: d.late):.1f} s after its ttl; as many bare leases expire within "
        f"{median(lambda d: d.seconds, alone):.1f} s, the last one "
        f"{median(lambda d: d.late, alone):.1f} s after its ttl (ratio {ratio:.2f})"
    )
    for who, name, of in (
        *(("service" if name in ("PUT", "GET") else "etcd", name, found) for name in OPERATIONS),
        *(("etcd alone", name, alone) for name in OPERATIONS[2:]),
    ):
        spans = [
            f"{word} {before:.2f} to {during:.2f} ms ({during / before:.1f} times)"
            for part, word in QUANTILES.items()
            for before, during in [
                [
                    statistics.median(deaths.quantile(name, part, during=when) for deaths in of)
                    for when in (False, True)
                ]
            ]
        ]
        yield f"{who}, {name.removeprefix('etcd ').upper()}: {', '.join(spans)}"
    yield (
        f"usage before and during the deaths, including the caller's requests: worker "
        f"{median(lambda d: d.worker.before):.2f} and {median(lambda d: d.worker.during):.2f} of a "
        f"core, etcd {median(lambda d: d.etcd.before):.2f} and {median(lambda d: d.etcd.during):.2f}; "
        f"etcd alone {median(lambda d: d.etcd.before, alone):.2f} and "
        f"{median(lambda d: d.etcd.during, alone):.2f}"
    )
    yield (
        f"the waiter of all members is met {median(lambda d: d.waiter_ms):.0f} ms after the last "
        f"death; the stack has converged {median(lambda d: d.converged_ms):.0f} ms after the "
        "survivor reported what it had applied"
    )
