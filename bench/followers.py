"""Members that follow the context of their stack: by whole documents, and by what has changed.

Each fact that is written is followed by a response to each member.  The figures are the bytes of these
responses and the CPU time of the worker.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from bench import members
from bench.lab import Lab, cpu_microseconds

STACK = "followed"
MEMBERS = 200
FACTS = 10  # of each member
PATIENCE = 60.0  # seconds for all members to receive one change
WAYS = {
    "whole documents": "member={name}",
    "whole documents with view=none": "member={name}&view=none",
    "changes": "member={name}&view=none&since={cursor}",
}


@dataclass(frozen=True)
class Followed:
    """The cost of one change for all members.

    :param seconds: until the last member had received it.
    """

    bytes: float
    worker_us: float
    seconds: float


class Follower(threading.Thread):
    """A member that requests the context again after each response.

    :ivar revision: the revision that it has received.
    :ivar received: bytes of all responses but the first.
    """

    def __init__(self, url: str, name: str, way: str) -> None:
        super().__init__(daemon=True)
        self.revision = self.received = 0
        self.stopped = False
        self.ready = threading.Event()
        self._way = way
        self._member = name
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=PATIENCE
        )

    def run(self) -> None:
        """Read the context, and then each change."""
        # Without the cursor, it is the whole document in the same view.
        first = self._way.partition("&since=")[0].format(name=self._member)
        etag, cursor, _ = self._get(first, {})
        self.ready.set()
        while not self.stopped:
            query = self._way.format(name=self._member, cursor=cursor)
            tag = {} if "since" in query else {"If-None-Match": etag}
            etag, cursor, size = self._get(f"{query}&wait=50", tag)
            self.received += size

    def _get(self, query: str, headers: dict[str, str]) -> tuple[str, str, int]:
        self._connection.request("GET", f"/v1/stacks/{STACK}/context?{query}", headers=headers)
        answer = self._connection.getresponse()
        size = len(answer.read())
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
            raise RuntimeError(f"the context of {self._member} was answered with {answer.status}")
        cursor = answer.headers["Factstore-Cursor"]
        self.revision = int(cursor.partition(".")[2])
        return answer.headers.get("ETag", ""), cursor, size


def run(lab: Lab, events: int) -> dict[str, Followed]:
    """Return the cost of a change, by the way in which the members follow."""
    names = [f"m{n}" for n in range(MEMBERS)]
    members.join(lab, STACK, names, ttl=3600)
    with lab.session() as session:
        for name in names:
            puts = [
                {"put": {"path": f"nodes/{name}/fact{n}", "value": f"{name} {n}"}}
                for n in range(FACTS)
            ]
            answer = session.post(
                f"{lab.url}/v1/stacks/{STACK}/batch", json={"operations": puts}, timeout=60
            )
            answer.raise_for_status()
    return {what: _follow(lab, names, way, events) for what, way in WAYS.items()}


def _follow(lab: Lab, names: list[str], way: str, events: int) -> Followed:
    followers = [Follower(lab.url, name, way) for name in names]
    for follower in followers:
        follower.start()
    for follower in followers:
        if not follower.ready.wait(PATIENCE):
            raise TimeoutError("a member has not received the context")
    time.sleep(1)  # for the requests that wait
    used, began = cpu_microseconds(lab.worker), time.perf_counter()
    for number in range(events):
        _write(lab, followers, number)
    seconds, spent = time.perf_counter() - began, cpu_microseconds(lab.worker) - used
    received = sum(follower.received for follower in followers)
    for follower in followers:
        follower.stopped = True
    _write(lab, followers, -1)
    for follower in followers:
        follower.join(PATIENCE)
    return Followed(received / events, spent / events, seconds / events)


def _write(lab: Lab, followers: list[Follower], number: int) -> None:
    """Write a fact, and wait until all members have received it."""
    with lab.session() as session:
        answer = session.put(
            f"{lab.url}/v1/stacks/{STACK}/facts/tick",
            data=json.dumps({"value": f"{time.time_ns()} {number}"}),
            headers={"Content-Type": "application/json"},
            timeout=PATIENCE,
        )
        answer.raise_for_status()
    revision = int(answer.headers["Factstore-Cursor"].partition(".")[2])
    end = time.perf_counter() + PATIENCE
    while any(follower.revision < revision for follower in followers):
        if time.perf_counter() > end:
            raise TimeoutError("a change did not reach all members")
        time.sleep(0.005)


def shown(found: dict[str, Followed]) -> list[str]:
    """Return a line for each way."""
    return [
        f"{what}: {each.bytes / 1024:.0f} KiB sent, {each.worker_us / 1000:.0f} ms of the worker's "
        f"CPU, {each.seconds * 1000:.0f} ms until the last member has the change"
        for what, each in found.items()
    ]
