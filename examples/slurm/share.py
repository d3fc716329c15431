"""Run a share of the simulated nodes: a program for simulate.py.

Each line of its input is a list of names in JSON: of nodes to start, or an empty one to print the
counters of each node.  It ends once the stack is deleted and its input is closed, or some seconds after
that in any case.

The nodes are greenlets, which run the same code as threads.  Hundreds of threads in one process would
spend most of the processor's time on waiting for each other.
"""

# ruff: noqa: E402, I001 - gevent must come first
from gevent import monkey

monkey.patch_all(select=False)  # the client polls idle connections, which does not wait

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gevent.fileobject import FileObjectThread

from machine import HEAD, address_of
from node import RARE, READERS, Files, Node

from factstore.agent.config.reads import Reads
from factstore.client import connect
from factstore.client.http.responses import Response
from factstore.client.http.session import HttpSession

LINGER_SECONDS = 10.0


def read_first() -> None:
    """Let all nodes read their responses before one of them acts on its own.

    Real nodes read while others are busy.  The service closes the connection of a client that reads
    nothing for 30 seconds, and together these nodes may act for longer on a context that all receive.
    """
    send = HttpSession.request

    def request(session: HttpSession, *arguments: Any, **options: Any) -> Response:
        response = send(session, *arguments, **options)
        time.sleep(0)
        return response

    HttpSession.request = request  # type: ignore[method-assign]


class Nodes:
    """The nodes of this process.

    :param settle: seconds without a change after which each node acts.
    :param patience: seconds for which a request may wait for a change.
    :param ttl: seconds without a heartbeat after which a member expires.
    """

    def __init__(
        self, stack: str, directory: Path, settle: float, patience: float, ttl: int
    ) -> None:
        self._stack = stack
        self._directory = directory
        self._settle = settle
        self._patience = patience
        self._ttl = ttl
        self._files = Files()
        self._nodes: dict[str, Node] = {}
        self._threads: list[threading.Thread] = []

    def start(self, names: list[str]) -> None:
        """Start nodes at the same time."""
        threads = [threading.Thread(target=self._add(name).run, name=name) for name in names]
        for thread in threads:
            thread.start()
        self._threads += threads

    def _add(self, name: str) -> Node:
        directory = self._directory / name
        directory.mkdir()
        facts: dict[str, object] = {"ip": address_of(name), "cpus": 4}
        if name == HEAD:
            del facts["cpus"]
        node = Node(
            connect().stack(self._stack),  # connections of its own
            name,
            facts,
            files=self._files,
            conf=directory / "slurm.conf",
            reads=Reads(frozenset({RARE} if name in READERS else ())),
            settle=self._settle,
            patience=self._patience,
            ttl=self._ttl,
        )
        self._nodes[name] = node
        return node

    def counters(self) -> dict[str, tuple[int, int, int]]:
        """Return the renders, the changes and the revision of each node."""
        return {
            name: (node.renders, node.woken, node.revision) for name, node in self._nodes.items()
        }

    def join(self, seconds: float) -> None:
        """Wait until all nodes have ended, or for a time."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))


def main(stack: str, directory: str, settle: str, patience: str, ttl: str) -> None:
    """Read the names of nodes until the input is closed."""
    gc.disable()  # each node has a copy of the context; scanning all of them is not to be measured
    read_first()
    nodes = Nodes(stack, Path(directory), float(settle), float(patience), int(ttl))
    for line in FileObjectThread(sys.stdin.buffer):
        names = json.loads(line)
        if names:
            nodes.start(names)
        else:
            print(json.dumps(nodes.counters()), flush=True)
    nodes.join(LINGER_SECONDS)
    os._exit(0)  # nodes without a service would try again until they are killed


if __name__ == "__main__":
    main(*sys.argv[1:])
