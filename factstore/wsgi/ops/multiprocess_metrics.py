"""The directory in which several workers share their metrics.

prometheus_client reads its name from the environment when it is first imported, so the master creates
the directory before.  A master that is killed leaves its directory behind, and the next one removes
it.
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
    """Create the directory and set the variable, unless an operator has set it."""
    if VARIABLE in os.environ:
        return
    _remove_abandoned(Path(tempfile.gettempdir()))
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix=f"factstore-metrics-{os.getpid()}-")


def unshare() -> None:
    """Remove the directory if this process created it."""
    directory = os.environ.get(VARIABLE, "")
    match = _NAME.match(Path(directory).name)
    if match and int(match[1]) == os.getpid():
        shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the directories of masters that were killed."""
    for directory in parent.glob("factstore-metrics-*"):
        match = _NAME.match(directory.name)
        if match and _is_mine(directory) and not _is_running(int(match[1])):
            shutil.rmtree(directory, ignore_errors=True)


def _is_mine(directory: Path) -> bool:
    """Compare numbers, because a user in another container has no name here."""
    try:
        return directory.stat().st_uid == os.geteuid()
    except OSError:
        return False  # removed meanwhile


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
