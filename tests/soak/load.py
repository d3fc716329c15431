"""The load of a soak: members that send heartbeats and write facts, and readers of the stream."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

STACK = "/v1/stacks/soak"
TTL = 60
BEAT_SECONDS = 10.0  # between two heartbeats of a member
SILENCE = 60.0


class Load:
    """Threads that send requests at a rate, and readers that measure how late events arrive.

    :ivar lags: the seconds between the sending of a write and the arrival of its event.
    :ivar sent: the number of requests.
    :ivar failed: the requests that were not answered as expected, at most a few of them.
    """

    def __init__(self, url: str, members: int, writes: float, readers: int) -> None:
        self._address = urlsplit(url).netloc
        self._members = members
        self._stopping = threading.Event()
        self.lags: list[float] = []
        self.sent = 0
        self.failed: list[str] = []
        tasks: list[Callable[[], None]] = [self._read] * readers
        senders = 4
        for number in range(senders):
            tasks.append(lambda n=number: self._beat(range(n, members, senders)))
            tasks.append(lambda n=number: self._write(n, senders / writes))
        self._threads = [threading.Thread(target=task, daemon=True) for task in tasks]

    def join(self) -> None:
        """Let all members join."""
        connection = self._connect()
        for number in range(self._members):
            body = {"group": "compute", "ttl": TTL}
            self._send(connection, "PUT", f"{STACK}/members/n{number}", body)
        connection.close()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * SILENCE)

    def take_lags(self) -> list[float]:
        """Return the lags since the last call."""
        taken, self.lags = self.lags, []
        return taken

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=SILENCE)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: object = None
    ) -> None:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = json.dumps(body) if body is not None else None
        self.sent += 1
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300 and len(self.failed) < 20:
                self.failed.append(f"{method} {path}: {answer.status} {text[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if len(self.failed) < 20:
                self.failed.append(f"{method} {path}: {error!r}")

    def _beat(self, members: range) -> None:
        connection, pause = self._connect(), BEAT_SECONDS / len(members)
        due = time.monotonic()
        while True:
            for number in members:
                due += pause
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    connection.close()
                    return
                self._send(connection, "POST", f"{STACK}/members/n{number}/heartbeat")

    def _write(self, number: int, pause: float) -> None:
        connection, chance = self._connect(), random.Random(number)
        due = time.monotonic()
        while True:
            due += pause
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                connection.close()
                return
            path = f"{STACK}/facts/nodes/n{chance.randrange(self._members)}/load"
            self._send(connection, "PUT", path, {"value": time.monotonic()})

    def _read(self) -> None:
        while not self._stopping.is_set():
            connection = self._connect()
            try:
                headers = {"Accept": "text/event-stream"}
                connection.request("GET", f"{STACK}/events?types=fact.put", headers=headers)
                answer = connection.getresponse()
                while not self._stopping.is_set() and (line := answer.readline()):
                    if line.startswith(b'data: {"cursor"') and b'"changes"' in line:
                        now = time.monotonic()
                        for change in json.loads(line[6:])["changes"]:
                            self.lags.append(now - change["fact"]["value"])
            except (OSError, http.client.HTTPException) as error:
                if not self._stopping.is_set():
                    self.failed.append(f"a reader: {error!r}")
            finally:
                connection.close()
