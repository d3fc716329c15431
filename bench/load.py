"""Generate load with wrk, whose requests are written in Lua."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
LONGER = 5  # times
_ENDLESS = "1h"  # wrk, which knows only whole seconds, is interrupted before


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


@dataclass
class Running:
    """A load that runs.

    :ivar printed: the output of wrk, once it has ended; empty if it was ended before it began.
    """

    printed: str = ""


def find_wrk() -> str | None:
    """Return the path of wrk, or None."""
    return shutil.which("wrk")


@contextmanager
def running(target: Target, connections: int = CONNECTIONS) -> Iterator[Running]:
    """Load a target from one thread until the context ends."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script)
        script.flush()
        options = ["-t1", f"-c{connections}", f"-d{_ENDLESS}", "--timeout", "60"]
        command = ["wrk", *options, "-s", script.name, target.url]
        load = Running()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
            try:
                yield load
            finally:
                wrk.send_signal(signal.SIGINT)  # it prints what it has measured until now
                load.printed = wrk.communicate()[0]


def run(target: Target, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Load a target from one thread; if nothing is answered in this time, again and for longer.

    :raises LoadError: a response was an error, a connection failed, or nothing was answered.
    """
    for longer in (seconds, LONGER * seconds):
        with running(target, connections) as load:
            time.sleep(longer)
        if load.printed and (found := parsed(load.printed, target.url)).requests:
            return found
    raise LoadError(f"{target.url}: nothing was answered within {LONGER * seconds:g} s")


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
