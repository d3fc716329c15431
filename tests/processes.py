"""Inspect other processes in /proc."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def alive(pid: int) -> bool:
    """Return True if the process is running; a zombie is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def gone(pids: Iterable[int]) -> bool:
    """Return True if none of the processes is running."""
    return not any(alive(pid) for pid in pids)


def descendants(ancestor: int) -> dict[int, str]:
    """Return the command lines of all descendants of ``ancestor`` by process id, children first."""
    parents, commands = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # ended while we looked
        if fields[0] != "Z":
            pid = int(stat.parent.name)
            parents[pid], commands[pid] = int(fields[1]), command
    found: dict[int, str] = {}
    generation = {ancestor}
    while generation := {pid for pid, parent in parents.items() if parent in generation}:
        found |= {pid: commands[pid] for pid in generation}
    return found
