"""ZooKeeper of Debian, through kazoo: a fact is a node, and its follower watches the node."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from bench import floor, peers
from bench.lab import Lab
from bench.report import Report
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.process import Child

_JAR = Path("/usr/share/java/zookeeper.jar")
_MAIN = "org.apache.zookeeper.server.ZooKeeperServerMain"

# Both promise the same in each of these.
GUARANTEES = {
    peers.PUBLISH: "on the disk before the answer, after all earlier writes",
    peers.READ: "no older than any write that was answered before it, whichever server is asked; "
    "ZooKeeper's sync and get, sent at once",
    peers.READ_OLD: "what the server knows, which may be old if there are several; consistency=stale, "
    "and ZooKeeper's get",
    peers.SEEN: "until a follower has the value; factstore's stream has all values, and ZooKeeper's "
    "watch the newest one",
}


class ZooKeeper:
    """Context manager for one server; as etcd does, it writes to the disk before it answers."""

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="factstore-bench-")
        self._port = free_port()
        self.child = Child("ZooKeeper")

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        state = Path(self._directory.name)
        config = state / "zoo.cfg"
        config.write_text(
            f"tickTime=2000\ndataDir={state / 'data'}\nclientPort={self._port}\n"
            f"clientPortAddress={LOOPBACK}\nmaxClientCnxns=0\nadmin.enableServer=false\n"
        )
        java = shutil.which("java")
        if java is None or not _JAR.exists():
            raise SystemExit("bench: ZooKeeper is missing; install the package zookeeper")
        argv = [java, "-Xmx512m", "-cp", str(_JAR), _MAIN, str(config)]
        self.child.start(argv, log_path=state / "zookeeper.log", env={**os.environ})
        self.child.wait_until(self._answers, 60.0, time.sleep)
        return self

    def __exit__(self, *error: object) -> None:
        self.child.kill()
        self._directory.cleanup()

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self._port), 1).close()
        except OSError:
            return False
        return True


class _NodeWay:
    def __init__(self, address: str, name: str) -> None:
        from kazoo.client import KazooClient

        self._client = KazooClient(hosts=address, timeout=30.0)
        self._client.start(30)
        self._path = f"/factstore/{name}"
        self._client.ensure_path(self._path)

    def publish(self, text: str) -> None:
        self._client.set(self._path, text.encode())

    def read(self) -> str:
        # The server carries out the requests of a session in their order, so both are sent at once.
        synced = self._client.sync_async(self._path)
        found = self._client.get_async(self._path)
        synced.get(peers.PATIENCE)
        return str(found.get(peers.PATIENCE)[0], "utf-8")

    def read_old(self) -> str:
        return str(self._client.get(self._path)[0], "utf-8")

    @contextmanager
    def follow(self) -> Iterator[Callable[[str], None]]:
        changed = threading.Condition()
        newest = ""

        def on_change(data: bytes | None, stat: Any) -> None:
            nonlocal newest
            with changed:
                newest = (data or b"").decode()
                changed.notify_all()

        self._client.DataWatch(self._path, on_change)

        def seen(text: str) -> None:
            with changed:
                assert changed.wait_for(lambda: newest == text, peers.PATIENCE), "not seen"

        yield seen

    def close(self) -> None:
        self._client.stop()
        self._client.close()


def run(lab: Lab, report: Report, rounds: int) -> None:
    """Compare the service with ZooKeeper."""
    with ZooKeeper() as server:
        theirs = peers.Peer(
            "ZooKeeper",
            lambda name: _NodeWay(server.address, name),
            lambda: [server.child.pid] if server.child.pid else [],
        )
        reads = (peers.READ, peers.READ_OLD)
        found = peers.run(peers.factstore(lab), theirs, rounds, reads)
    peers.show(report, "ZooKeeper", found, 1, "zookeeper", GUARANTEES)
    report.line(floor.shown(floor.run(lab, rounds), "ZooKeeper", found))
