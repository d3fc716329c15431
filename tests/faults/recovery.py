"""Measure how long a fault of etcd stops the service, beside etcd's own clients in the same run.

``python -m tests.faults.recovery`` prints, for each fault, the longest time without a successful write
and without a successful read, through the service and by a plain client of etcd.  Each client begins a
request every tenth of a second.  That of etcd begins with the same member as the service, gives a try
up after a second, and then uses the next member.  Its time is what an ordinary client of etcd needs.
"""

from __future__ import annotations

import argparse
import base64
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.etcd_cluster import EtcdCluster
from tests.faults.laboratory import FAULTS, LINK_FAULTS, Laboratory
from tests.service import ApiServer

EVERY = 0.1  # seconds between two requests
ETCD_SECONDS = 1.0  # for a request to a member of etcd
SERVICE_SECONDS = 15.0
BEFORE, AFTER = 2.0, 3.0  # seconds of probing before a fault and after all clients are back
GOAL = 1.3  # times the recovery of etcd's client
GRAIN = 0.3  # seconds; shorter differences say more about the machine than about the service


class Prober:
    """Sends a request every tenth of a second, and notes when one succeeded."""

    def __init__(self, request: Callable[[], object]) -> None:
        self._request = request
        self._stop = threading.Event()
        self._successes: list[float] = [time.monotonic()]
        self._pool = ThreadPoolExecutor(400)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._pool.submit(self._send)

    def _send(self) -> None:
        with suppress(OSError, ValueError):
            self._request()
            self._successes.append(time.monotonic())

    def is_back(self, since: float) -> bool:
        """Return True if a request has succeeded in each of the last moments."""
        recent = [at for at in self._successes if at > time.monotonic() - 1]
        return time.monotonic() - since > 1 and len(recent) > 5

    def stop(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._pool.shutdown(wait=True)

    @property
    def longest_gap(self) -> float:
        """The longest time without a success, in seconds."""
        return max(later - at for at, later in pairwise(sorted(self._successes)))


def _post(url: str, body: dict[str, str], timeout: float, method: str = "POST") -> None:
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        answer.read()


class EtcdClient:
    """A client of etcd that prefers the member that has answered last.

    :param endpoints: in order of preference.
    """

    def __init__(self, endpoints: list[str], call: str) -> None:
        self._endpoints = endpoints
        self._call = call
        self._current = 0

    def send(self) -> None:
        """Read or write a key, at one member after the other until that succeeds."""
        body = {"key": base64.b64encode(b"/probe").decode()}
        if self._call == "put":
            body["value"] = "MQ=="
        end = time.monotonic() + SERVICE_SECONDS
        while time.monotonic() < end:
            tried = self._current
            try:
                _post(f"{self._endpoints[tried]}/v3/kv/{self._call}", body, ETCD_SECONDS)
            except OSError:
                if self._current == tried:
                    self._current = (tried + 1) % len(self._endpoints)
            else:
                return
        raise OSError("no member answers")


def service_request(server: ApiServer, method: str) -> Callable[[], None]:
    numbers = iter(range(10**9))
    url = f"{server.url}/v1/stacks/recovery/facts/probe"

    def send() -> None:
        body = {"value": str(next(numbers))} if method == "PUT" else {}
        _post(url, body, SERVICE_SECONDS, method)

    return send


class Row:
    """The seconds without a success, for writes and for reads."""

    def __init__(self, what: str, probers: dict[str, Prober]) -> None:
        self.what = what
        self.gaps = {name: prober.longest_gap for name, prober in probers.items()}

    def is_late(self, kind: str) -> bool:
        """Return True if the service took longer than it should."""
        service, etcd = self.gaps[f"service {kind}"], self.gaps[f"etcd {kind}"]
        return service > max(GOAL * etcd, etcd + GRAIN)

    def ratio(self, kind: str) -> float:
        """Return the service's time as a multiple of that of etcd's clients."""
        return self.gaps[f"service {kind}"] / self.gaps[f"etcd {kind}"]

    def __str__(self) -> str:
        parts = [
            f"{kind} {self.gaps[f'service {kind}']:5.2f} s, etcd {self.gaps[f'etcd {kind}']:5.2f} s "
            f"({self.ratio(kind):4.2f})"
            for kind in ("writes", "reads")
        ]
        return f"{self.what:28} {'   '.join(parts)}"


def measure(
    what: str,
    cluster: EtcdCluster,
    server: ApiServer,
    endpoints: list[str],
    disturb: Callable[[], Callable[[], object]],
) -> Row:
    """Return the times without a success around a fault.

    :param endpoints: in the order of the service.
    :param disturb: causes the fault, and returns a function that ends it.
    """
    probers = {
        "service writes": Prober(service_request(server, "PUT")),
        "service reads": Prober(service_request(server, "GET")),
        "etcd writes": Prober(EtcdClient(endpoints, "put").send),
        "etcd reads": Prober(EtcdClient(endpoints, "range").send),
    }
    try:
        time.sleep(BEFORE)
        repair = disturb()
        began = time.monotonic()
        while not all(prober.is_back(began) for prober in probers.values()):
            if time.monotonic() - began > 60:
                raise SystemExit(f"{what}: not everything has recovered within a minute")
            time.sleep(EVERY)
        time.sleep(AFTER)
    finally:
        for prober in probers.values():
            prober.stop()
    row = Row(what, probers)
    repair()
    cluster.wait_ready()
    return row


def rows(names: Sequence[str], directory: Path) -> Iterator[Row]:
    """Yield the result of each fault."""
    for linked in (False, True):
        chosen = [name for name in names if (name in LINK_FAULTS) == linked]
        if not chosen:
            continue
        with Laboratory(directory / f"linked-{linked}", linked=linked) as lab:
            for name in chosen:
                fault = FAULTS[name] if name in FAULTS else LINK_FAULTS[name]
                victim, first = lab.choose(fault)
                endpoints = lab.endpoints(first)
                with lab.service(endpoints) as server:
                    service_request(server, "PUT")()
                    disturb = partial(fault.disturb, lab, victim)
                    yield measure(name, lab.cluster, server, endpoints, disturb)


def main() -> int:
    """Print a line for each fault; return 1 if the service took longer than it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = [*FAULTS, *LINK_FAULTS]
    parser.add_argument("faults", nargs="*", help=f"some of: {', '.join(known)} (default: all)")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    late = 0
    for _ in range(args.rounds):
        with TemporaryDirectory(prefix="recovery-") as scratch:
            for row in rows(args.faults or known, Path(scratch)):
                print(row, flush=True)
                late += any(row.is_late(kind) for kind in ("writes", "reads"))
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
