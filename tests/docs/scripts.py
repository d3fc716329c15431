"""Runs the scripts of the how-to guides in the shell that readers use."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import requests


def setting(stack: str) -> str:
    """Return the variables that the guides assume."""
    return f"STACK={stack} TOKEN=none\n"


def shell(script: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, **more
    )


@contextlib.contextmanager
def running(script: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a script until the context ends."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        ["bash", "-c", script],
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        **more,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with what it waits for
        process.communicate()


def put(stack: str, path: str, value: object) -> None:
    requests.put(f"{stack}/facts/{path}", json={"value": value}, timeout=60).raise_for_status()


def value(stack: str, path: str) -> object:
    return requests.get(f"{stack}/facts/{path}", timeout=60).json().get("value")
