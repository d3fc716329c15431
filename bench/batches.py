"""Many clients that write at the same moment: a batch each, and the same facts by single PUTs, in turn.

Each client writes below a folder of its own, as nodes do that boot together.
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from bench.lab import Lab

CLIENTS = 400
FACTS = 10
TIMEOUT = 60

Request = tuple[str, str, object]
"""A method, a path in the stack, and a body."""


class WriteError(Exception):
    """A write was refused, so the time is meaningless."""


@dataclass
class Batches:
    """Pairs of runs, in seconds.

    :ivar same: seconds for batches of the same facts, which are written one after the other.
    """

    single: list[float] = field(default_factory=list)
    batch: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    retries: float = 0

    def __str__(self) -> str:
        ratios = [batch / single for batch, single in zip(self.batch, self.single, strict=True)]
        return (
            f"{statistics.median(ratios):.2f} times as long as single PUTs "
            f"(pairs {min(ratios):.2f} to {max(ratios):.2f}); "
            f"{statistics.median(self.batch):.2f} s against {statistics.median(self.single):.2f} s; "
            f"into the same facts {statistics.median(self.same):.2f} s; {self.retries:.0f} retries"
        )


def run(lab: Lab, rounds: int) -> Batches:
    """Write by single PUTs, by batches, and by batches of the same facts, in turn."""
    found, before = Batches(), _retries(lab)
    for number in range(rounds):
        found.single.append(_all_at_once(lab, f"single{number}", _puts))
        found.batch.append(_all_at_once(lab, f"batch{number}", _batch))
        found.same.append(_all_at_once(lab, f"same{number}", _same))
    found.retries = _retries(lab) - before
    return found


def _puts(client: int) -> list[Request]:
    return [("PUT", f"facts/nodes/n{client}/k{fact}", {"value": client}) for fact in range(FACTS)]


def _batch(client: int) -> list[Request]:
    return [_post(client, f"nodes/n{client}")]


def _same(client: int) -> list[Request]:
    return [_post(client, "shared")]


def _post(client: int, folder: str) -> Request:
    puts = [{"put": {"path": f"{folder}/k{fact}", "value": client}} for fact in range(FACTS)]
    return "POST", "batch", {"operations": puts}


def _all_at_once(lab: Lab, stack: str, requests: Callable[[int], list[Request]]) -> float:
    """Let all clients begin at the same moment; return the seconds until the last has finished."""
    base = f"/v1/stacks/{stack}"
    address = urlsplit(lab.url).netloc
    lab.session().put(f"{lab.url}{base}", json={}, timeout=TIMEOUT).raise_for_status()
    together = threading.Barrier(CLIENTS + 1)
    refused: list[str] = []

    def write(client: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        connection.connect()
        together.wait()
        for method, path, body in requests(client):
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"{base}/{path}", json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
            if response.status >= HTTPStatus.BAD_REQUEST:
                refused.append(f"{response.status} {text}")
        connection.close()

    threads = [threading.Thread(target=write, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    together.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if refused:
        raise WriteError(f"{len(refused)} writes were refused, the first with {refused[0]}")
    return took


def _retries(lab: Lab) -> float:
    text = lab.session().get(f"{lab.url}/metrics", timeout=TIMEOUT).text
    lines = [line for line in text.splitlines() if line.startswith("factstore_write_retries_total")]
    return sum(float(line.split()[-1]) for line in lines)
