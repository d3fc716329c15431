"""The directory in which workers keep the numbers that they share.

prometheus_client looks for it in the environment when it is first imported.  So it must be there before
that, in the master, whose death leaves it behind only when it is killed; the next one tidies up.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_NAME = re.compile(r"factstore-metrics-(\d+)-")


def share() -> None:
    """Make the directory and name it in the environment, unless an operator has."""
    if VARIABLE in os.environ:
        return
    _tidy(Path(tempfile.gettempdir()))
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix=f"factstore-metrics-{os.getpid()}-")


def unshare() -> None:
    """Remove the directory, if this process made it."""
    directory = os.environ.get(VARIABLE, "")
    match = _NAME.match(Path(directory).name)
    if match and int(match[1]) == os.getpid():
        shutil.rmtree(directory, ignore_errors=True)


def _tidy(parent: Path) -> None:
    """Remove what masters that were killed left behind."""
    for directory in parent.glob("factstore-metrics-*"):
        match = _NAME.match(directory.name)
        if match and directory.owner() == Path("/proc/self").owner() and not _lives(int(match[1])):
            shutil.rmtree(directory, ignore_errors=True)


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
