"""The processes of the simulated nodes: each runs share.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Counters(NamedTuple):
    """A node's numbers of written files and of changed contexts, and the revision of its copy."""

    renders: int
    woken: int
    revision: int


class Share:
    """A process with some of the nodes."""

    def __init__(self, *arguments: object) -> None:
        program = Path(__file__).with_name("share.py")
        self._process = subprocess.Popen(  # noqa: S603 - a program of this directory
            [sys.executable, program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, names: list[str]) -> None:
        """Start nodes at the same time."""
        print(json.dumps(names), file=self._process.stdin, flush=True)

    def counters(self) -> dict[str, Counters]:
        """Return the counters of each node."""
        self.start([])
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        found = json.loads(self._process.stdout.readline())
        return {name: Counters(*counters) for name, counters in found.items()}

    def kill(self) -> None:
        """Kill all nodes."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Wait for the end of the nodes, after their stack was deleted."""
        self._process.communicate()
