"""Drop-in directories: ``facts.d`` and ``hooks.d``."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LEFT_OVER = ("~", ".bak", ".orig", ".rej", ".rpmnew", ".rpmorig", ".rpmsave", ".swp")
_DPKG = re.compile(r"\.dpkg-[a-z]+$")


def drop_ins(directory: Path) -> list[Path]:
    """Return the files of a directory by name, without those that editors and packages leave behind.

    A directory that does not exist has none.

    :raises OSError: the directory cannot be read.
    """
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    return [
        directory / name
        for name in names
        if _NAME.fullmatch(name)
        and not name.endswith(_LEFT_OVER)
        and not _DPKG.search(name)
        and (directory / name).is_file()
    ]
