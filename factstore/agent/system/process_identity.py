"""The identity of a process, whose id the kernel may give to another one later."""

from __future__ import annotations

from pathlib import Path

from factstore.agent.system.host_facts import boot_id


def start_time(pid: int) -> str | None:
    """Return the boot and the start time of a process, which identify it; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{boot_id()} {fields[19]}"
    except OSError:
        return None
