"""Drop-in directories: ``facts.d`` and ``hooks.d``."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from factstore.agent.system.program_output import printable

LOG = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LEFT_OVER = (
    *("~", ".bak", ".disabled", ".old", ".orig", ".pacnew", ".pacorig", ".pacsave", ".rej"),
    *(".rpmnew", ".rpmorig", ".rpmsave", ".save", ".swp"),
)
_PACKAGED = re.compile(r"\.(dpkg|ucf|apk)-[a-z]+$")


def drop_ins(directory: Path) -> list[Path]:
    """Return the files of a directory by name, without those that editors and packages leave behind.

    A directory that does not exist has none.

    :raises OSError: the directory cannot be read.
    """
    return [
        file for file in _candidates(directory) if _NAME.fullmatch(file.name) and file.is_file()
    ]


def passed_over(directory: Path) -> dict[Path, str]:
    """Return the files that somebody may expect to be used and that are not, with the reasons.

    :raises OSError: the directory cannot be read.
    """
    found = {}
    for file in _candidates(directory):
        if file.is_symlink() and not file.exists():
            found[file] = "is a symbolic link to a file that does not exist"
        elif file.is_file() and not _NAME.fullmatch(file.name):
            found[file] = "has a name with other characters than letters, digits and _.-"
    return found


def _candidates(directory: Path) -> list[Path]:
    """Return the entries of a directory that are not hidden nor left behind."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    return [
        directory / name
        for name in names
        if not name.startswith(".") and not name.endswith(_LEFT_OVER) and not _PACKAGED.search(name)
    ]


class PassedOverLog:
    """Logs each file that is passed over once.

    :param find: returns the files and the reasons.
    """

    def __init__(self, find: Callable[[], Mapping[Path, str]]) -> None:
        self._find = find
        self._known: Mapping[Path, str] = {}

    def update(self) -> None:
        """Log the files that are passed over since the last call.

        :raises OSError: the directory cannot be read.
        """
        found = self._find()
        for file, reason in found.items():
            if self._known.get(file) != reason:
                LOG.warning("ignoring %s, which %s", printable(str(file)), reason)
        self._known = found
