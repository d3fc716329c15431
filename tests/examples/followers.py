"""Followers of a stack: the programs and pages of the examples, observed through their output."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.examples.browser import Pages

LINE = re.compile(r"(\S+) ((?:fact|stack)\.\w+)(?: (\S+))?(?: (.+))?")
SNAPSHOT = re.compile(r"(\S+) snapshot facts: (\d+)")


@dataclass(frozen=True)
class Told:
    """One change, as printed in a line."""

    cursor: str
    type: str
    path: str | None
    value: str | None  # canonical JSON; None for a deletion

    @classmethod
    def read(cls, line: str) -> Told | None:
        """Parse a line; return None if it is not about a change."""
        if (match := LINE.fullmatch(line)) is None:
            return None
        cursor, kind, path, value = match.groups()
        return cls(cursor, kind, path, value and canonical(json.loads(value)))

    @classmethod
    def of(cls, cursor: str, change: Mapping[str, Any]) -> Told:
        """Return a change of the API in the same form."""
        fact = change["fact"]
        value = canonical(fact["value"]) if fact else None
        return cls(cursor, change["type"], change["path"], value)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


class Follower(ABC):
    """A client of the watch."""

    name: str

    @abstractmethod
    def lines(self) -> list[str]:
        """Return the output so far, complete lines only."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return its copy of the facts."""

    def segments(self) -> list[tuple[str, list[Told]]]:
        """Return the cursor of each snapshot, and the changes printed after it."""
        found: list[tuple[str, list[Told]]] = []
        for line in self.lines():
            if snapshot := SNAPSHOT.fullmatch(line):
                found.append((snapshot[1], []))
            elif told := Told.read(line):
                found[-1][1].append(told)
        return found


class Program(Follower):
    """A program of the examples, whose output is kept over its restarts.

    It tells an event before it keeps it: losing none, one that is killed in between tells the last
    event once more.  That one is left out here.
    """

    def __init__(
        self, name: str, argv: Sequence[str], environ: Mapping[str, str], directory: Path
    ) -> None:
        directory.mkdir()
        self.name = name
        self._copy = directory / "copy.json"
        self._argv = [*argv, str(self._copy)]
        self._environ = {**os.environ, **environ}
        self._output = directory / "output"
        self._errors = directory / "errors"
        self._process: subprocess.Popen[bytes] | None = None
        self._killed_after: list[int] = []  # lines

    def start(self) -> None:
        with self._output.open("ab") as output, self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self._argv,
                env=self._environ,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the program and its children."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._killed_after.append(len(self._all_lines()))

    def status(self) -> int | None:
        """Return the exit status, or None while the program runs."""
        assert self._process is not None
        return self._process.poll()

    def lines(self) -> list[str]:
        found = self._all_lines()
        for end in reversed(self._killed_after):
            last = found[end - 1].partition(" ")[0] if end else ""
            event = [line for line in found[:end] if line.partition(" ")[0] == last]
            if event and found[end : end + len(event)] == event:
                del found[end : end + len(event)]
        return found

    def _all_lines(self) -> list[str]:
        return self._output.read_text().split("\n")[:-1] if self._output.exists() else []

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self._copy.read_text())["facts"]
        return facts

    def errors(self) -> str:
        return self._errors.read_text()


class Page(Follower):
    """A page of the examples in a browser."""

    def __init__(self, name: str, pages: Pages) -> None:
        self.name = name
        self._pages = pages

    def lines(self) -> list[str]:
        shown = self._pages.shown.get(self.name, {})
        return shown.get("lines", "").split("\n")[:-1]

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self._pages.shown[self.name]["facts"])
        return facts
