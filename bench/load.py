"""Generate load with wrk, whose requests are written in Lua."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
LONGER = 5  # times


class LoadError(Exception):
    """Some responses were errors, so the speed is meaningless."""


@dataclass(frozen=True)
class Target:
    """The URL and the script of a load."""

    url: str
    script: str


@dataclass(frozen=True)
class Load:
    """The result of a load."""

    requests: int
    per_second: float


def find_wrk() -> str | None:
    """Return the path of wrk, or None."""
    return shutil.which("wrk")


def run(target: Target, seconds: int, connections: int = CONNECTIONS) -> Load:
    """Load a target from one thread; if nothing is answered in this time, again and for longer.

    :raises LoadError: a response was an error, a connection failed, or nothing was answered.
    """
    found = Load(0, 0.0)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script)
        script.flush()
        for longer in (seconds, LONGER * seconds):
            options = ["-t1", f"-c{connections}", f"-d{longer}", "--timeout", "60"]
            command = ["wrk", *options, "-s", script.name, target.url]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = parsed(done.stdout, target.url)
            if found.requests:
                return found
    raise LoadError(f"{target.url}: nothing was answered within {LONGER * seconds} s")


def parsed(printed: str, url: str) -> Load:
    """Return the result that wrk printed.

    :raises LoadError: a response was an error, or a connection failed.
    """
    wrong = re.search(r"(Non-2xx.*|Socket errors.*)", printed)
    if wrong:
        raise LoadError(f"{Path(url).name}: {wrong[1]}")
    requests = re.search(r"(\d+) requests in", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if requests is None or rate is None:
        raise LoadError(f"{Path(url).name}: wrk printed {printed!r}")
    return Load(int(requests[1]), float(rate[1]))
