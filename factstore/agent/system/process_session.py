"""The processes that a program started: those of its session, and those with a variable that it had."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def signal_session(session: int, number: int) -> None:
    """Send a signal to all processes of a session; shells may have put them into several groups."""
    for process in _processes(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def signal_marked(variable: str, value: str, number: int) -> None:
    """Send a signal to all processes with an environment variable, whatever their session."""
    wanted = f"{variable}={value}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if wanted in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                    os.kill(int(name), number)


def _processes(session: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, LookupError):
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    found.append(int(name))
    return found
