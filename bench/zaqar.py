"""Zaqar with Redis: a fact is the newest message of a queue, which its follower polls without a pause.

The conditions favour Zaqar: Redis does not write to the disk before it answers, and a real agent pauses
between two polls.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from bench import floor, operations, peers
from bench.caller import Caller
from bench.lab import Lab
from bench.load import CONNECTIONS, Target
from bench.report import Report
from bench.rounds import Side, in_turn
from factstore.cmd.processes.api import Options, write_options
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import Child, python_environment

THREADS = 16
GUARANTEES = {
    peers.PUBLISH: "factstore's is on the disk before the answer, Zaqar's only in the memory of Redis",
    peers.READ: "the newest value; all callers of both use the same HTTP client",
    peers.SEEN: "factstore's follower reads a stream, Zaqar's asks again and again, as it has to",
}
TTL = 3600  # seconds for which a message is kept


class Zaqar:
    """Context manager for one worker of Zaqar, and its Redis.

    :param options: further sections of its configuration, or other values.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or {}
        self._directory = TemporaryDirectory(prefix="factstore-bench-")
        self._port, self._redis_port = free_port(), free_port()
        self._redis, self._api = Child("Redis"), Child("Zaqar")
        self.url = f"http://{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        redis = shutil.which("redis-server")
        if redis is None:
            raise SystemExit("bench: Redis is missing; install the package redis-server")
        home = Path(self._directory.name)
        argv = [redis, "--bind", LOOPBACK, "--port", str(self._redis_port), "--dir", str(home)]
        self._redis.start(argv, log_path=home / "redis.log")
        (home / ".zaqar").mkdir()
        uri = f"redis://{LOOPBACK}:{self._redis_port}"
        sections: dict[str, Mapping[str, str | int]] = {
            "DEFAULT": {"auth_strategy": "", "unreliable": "true"},
            "drivers": {"message_store": "redis", "management_store": "redis"},
            "drivers:message_store:redis": {"uri": uri},
            "drivers:management_store:redis": {"uri": uri},
        }
        for name, values in self._options.items():
            sections[name] = {**sections.get(name, {}), **values}
        write_options(home / ".zaqar" / "zaqar.conf", sections)
        self._api.start(
            [
                *(sys.executable, "-m", "gunicorn", "--bind", f"{LOOPBACK}:{self._port}"),
                *("--worker-class", "gthread", "--threads", str(THREADS), "--keep-alive", "60"),
                "zaqar.transport.wsgi.app:app",
            ],
            log_path=home / "zaqar.log",
            env={**python_environment(), "HOME": str(home), "PATH": os.environ["PATH"]},
        )
        probe = Probe(self.url)
        try:
            # The root lists the versions with the status 300, multiple choices.
            self._api.wait_until(lambda: probe.status("/") is not None, 60.0, time.sleep)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._api.terminate(5)
        self._redis.kill()
        self._directory.cleanup()

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return self._api.children()

    @property
    def stores(self) -> list[int]:
        """The process id of Redis."""
        return [self._redis.pid] if self._redis.pid is not None else []

    def target(self, operation: str) -> Target:
        """Return the target that publishes messages, or that reads one."""
        caller = Caller(self.url, new_headers())
        with caller:
            answer = caller.request("POST", "/v2/queues/load/messages", _message("first"))
            message = answer.json()["resources"][0]
        headers = operations.headers({**operations.JSON, **new_headers()})
        script = _PUBLISH if operation == "PUT" else _READ
        return Target(self.url, script.format(headers=headers, message=message, ttl=TTL))


# Of the same size as the requests of the service.
_PUBLISH = """
    local n = 0
    local headers = {{{headers}}}
    request = function()
        n = n + 1
        local text = string.format("%040d", n)
        local body = '{{"messages":[{{"ttl":{ttl},"body":{{"value":"' .. text .. '"}}}}]}}'
        return wrk.format("POST", "/v2/queues/load" .. n % 100 .. "/messages", headers, body)
    end
"""

_READ = """
    local headers = {{{headers}}}
    request = function() return wrk.format("GET", "{message}", headers) end
"""


def new_headers() -> dict[str, str]:
    """Return the headers of a new client."""
    return {"Client-ID": str(uuid.uuid4()), "X-Project-Id": "bench"}


def _message(text: str) -> dict[str, object]:
    return {"messages": [{"ttl": TTL, "body": {"text": text}}]}


class _QueueWay:
    def __init__(self, url: str, name: str) -> None:
        # A client does not see its own messages, so the follower is another one.
        self._url = url
        self._publisher, self._reader = (self._caller() for _ in range(2))
        self._queue = f"/v2/queues/{name}"
        self._newest = ""

    def publish(self, text: str) -> None:
        answer = self._publisher.request("POST", f"{self._queue}/messages", _message(text))
        self._newest = answer.json()["resources"][0]

    def read(self) -> str:
        return str(self._reader.request("GET", self._newest).json()["body"]["text"])

    def read_old(self) -> str:
        return self.read()

    @contextmanager
    def follow(self) -> Iterator[Callable[[str], None]]:
        with self._caller() as caller:
            where = f"{self._queue}/messages?limit=10"

            def seen(text: str) -> None:
                nonlocal where
                end = time.perf_counter() + peers.PATIENCE
                while time.perf_counter() < end:
                    answer = caller.request("GET", where)
                    page = answer.json() if answer.body else {"messages": [], "links": []}
                    for link in page["links"]:
                        where = link["href"] if link["rel"] == "next" else where
                    if any(message["body"]["text"] == text for message in page["messages"]):
                        return
                raise TimeoutError("a message was not seen")

            yield seen

    def close(self) -> None:
        self._publisher.__exit__()
        self._reader.__exit__()

    def _caller(self) -> Caller:
        return Caller(self._url, new_headers())


def run(lab: Lab, report: Report, rounds: int, seconds: float) -> None:
    """Compare the service with Zaqar."""
    with Zaqar() as server:
        theirs = peers.Peer(
            "Zaqar",
            lambda name: _QueueWay(server.url, name),
            lambda: [*server.workers, *server.stores],
        )
        found = peers.run(peers.factstore(lab), theirs, rounds, (peers.READ,))
        for operation, what in (("PUT", "publish"), ("GET", "read")):
            sides = {
                "ours": Side(lab, operations.factstore(operation, lab)),
                "theirs": Side(server, server.target(operation)),
            }
            found[f"{what}, {CONNECTIONS} connections"] = peers.as_jobs(
                in_turn(sides, rounds, seconds)
            )
    peers.show(report, "Zaqar", found, 10, "zaqar", GUARANTEES)
    report.line(floor.shown(floor.run(lab, rounds), "Zaqar", found))
