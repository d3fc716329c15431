"""The memory of a worker: what a burst of requests needed is returned to the system.

glibc keeps most of it otherwise, because a few of the blocks that lie between are still in use.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

LARGE_BYTES = 1024 * 1024
"""The size from which blocks are returned as soon as they are free."""

GROWTH_BYTES = 8 * 1024 * 1024
"""The growth after which memory is returned: a search for free blocks takes some milliseconds."""


def resident_bytes() -> int:
    """Return the memory that this process occupies; 0 if that is not known."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _trim() -> None:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another C library
        return


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt


def return_large_blocks() -> None:
    """Let large blocks, such as a worker needs when it reads etcd, have memory of their own.

    glibc does that only until the first of them is free.  Then it takes the next ones, of up to 32 MiB,
    from the memory for small blocks, in which the many that stay are dispersed afterwards.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
    mallopt(_TRIM_THRESHOLD, 2 * LARGE_BYTES)


class FreeMemory:
    """Returns free memory to the system after the process has grown."""

    def __init__(
        self, resident: Callable[[], int] = resident_bytes, trim: Callable[[], None] = _trim
    ) -> None:
        self._resident = resident
        self._trim = trim
        self._least = 0
        self._grew = False

    def give_back(self) -> None:
        """Return free memory if the process has grown since the last time, or the time before.

        A burst may go on after the first time, and free memory afterwards without growing further.
        """
        now = self._resident()
        grew, self._grew = self._grew, now > self._least + GROWTH_BYTES
        if grew or self._grew:
            self._trim()
            now = self._least = self._resident()
        self._least = min(self._least, now)
