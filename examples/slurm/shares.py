"""A share of the simulated nodes, as threads of a process of its own."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from machine import HEAD, address_of
from thread import Node, Texts

from factstore.client import connect

TTL = 300  # one process sends the heartbeats of many nodes, so they can be late
STACK_KIB = 256  # of memory for each thread


class Share:
    """A process with some of the nodes.

    :param settle: seconds without a change after which each node acts.
    """

    def __init__(self, stack: str, directory: Path, settle: float) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(
            target=_serve, args=(theirs, stack, directory, settle), daemon=True
        )
        self._process.start()

    def start(self, names: list[str]) -> None:
        """Start nodes at the same time."""
        self._pipe.send(names)

    def renders(self) -> dict[str, int]:
        """Return the number of times that each node wrote its file."""
        self._pipe.send(None)
        found: dict[str, int] = self._pipe.recv()
        return found

    def stop(self) -> None:
        """Wait for the end of the nodes, after their stack was deleted."""
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection, stack: str, directory: Path, settle: float) -> None:
    threading.stack_size(STACK_KIB * 1024)
    gc.disable()  # each node has a copy of the context; scanning all of them is not to be measured
    nodes = _Nodes(stack, directory, settle)
    while True:
        try:
            names = pipe.recv()
        except EOFError:
            break
        if names is None:
            pipe.send(nodes.renders())
        else:
            nodes.start(names)
    nodes.join()


class _Nodes:
    """The nodes of this process, as threads."""

    def __init__(self, stack: str, directory: Path, settle: float) -> None:
        self._stack = stack
        self._directory = directory
        self._settle = settle
        self._texts = Texts()
        self._nodes: dict[str, Node] = {}
        self._threads: list[threading.Thread] = []

    def start(self, names: list[str]) -> None:
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
            texts=self._texts,
            conf=directory / "slurm.conf",
            settle=self._settle,
            ttl=TTL,
        )
        self._nodes[name] = node
        return node

    def renders(self) -> dict[str, int]:
        return {name: node.renders for name, node in self._nodes.items()}

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
