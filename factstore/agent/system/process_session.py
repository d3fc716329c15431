"""The processes of a session: those that a program started, except daemons with their own session."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def signal_session(session: int, number: int) -> None:
    """Send a signal to all processes of a session; shells may have put them into several groups."""
    for process in _processes(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _processes(session: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, LookupError):
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    found.append(int(name))
    return found
