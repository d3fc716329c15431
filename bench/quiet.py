"""The load of the machine by other programs, which makes figures wrong."""

from __future__ import annotations

import time
from pathlib import Path

MOST = 0.1  # of all processors; the services that wait for the next part need a part of that
SAMPLE_SECONDS = 0.3
_IDLE = (3, 4)  # the fields of /proc/stat: idle, and idle until the disk has answered


def processor_times(line: str) -> tuple[int, int]:
    """Return the busy and the whole time of all processors, as the first line of /proc/stat has them.

    The time that the hypervisor gives to other machines counts as busy.
    """
    fields = [int(field) for field in line.split()[1:9]]  # the last two are parts of others
    whole = sum(fields)
    return whole - sum(fields[index] for index in _IDLE), whole


def busy() -> float:
    """Return the busy share of all processors during a moment."""
    before = _read()
    time.sleep(SAMPLE_SECONDS)
    after = _read()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def wait(seconds: float) -> float:
    """Wait until the machine is quiet, but not for longer; return the busy share then."""
    end = time.monotonic() + seconds
    while (share := busy()) > MOST and time.monotonic() < end:
        pass
    return share


def _read() -> tuple[int, int]:
    with Path("/proc/stat").open(encoding="ascii") as times:
        return processor_times(times.readline())
