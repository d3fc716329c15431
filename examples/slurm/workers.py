"""The processor time and the memory of the workers of a service on this machine, from /proc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def processor_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used."""
    ticks = 0
    for pid in pids:
        _, _, fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")
        user, system = fields.split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mebibytes(pids: Sequence[int]) -> float:
    """Return the memory that processes occupy."""
    pages = sum(
        int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in pids
    )
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
