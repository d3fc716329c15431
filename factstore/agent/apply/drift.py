"""Changes on disk that are not the agent's: spoilt files, edited templates, other hooks.

Files are compared by their inodes, which costs little, so that a quiet stack notices changes too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from factstore.agent.apply.files import RenderedFile, RenderedFolder
from factstore.agent.apply.hooks import Hooks

Snapshot = Mapping[str, object]
"""The state of each file, by its path."""


def take_snapshot(
    files: Iterable[RenderedFile | RenderedFolder], templates: Iterable[Path], hooks: Hooks
) -> Snapshot:
    """Return the state of rendered files, of templates and of hooks."""
    found: dict[str, object] = {}
    for file in files:
        for path in file.paths():
            found[str(path)] = _state(path, follow=False)
    for template in templates:
        found[str(template)] = _state(template)
    try:
        for hook in hooks.executables():
            found[str(hook)] = _state(hook)
    except OSError as error:
        found["hooks"] = error.errno
    return found


def changes(before: Snapshot, now: Snapshot) -> list[str]:
    """Return the paths that differ between two snapshots."""
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _state(path: Path, *, follow: bool = True) -> object:
    try:
        found = os.stat(path, follow_symlinks=follow)
    except OSError as error:
        return error.errno
    # The change time differs after each write, also of the owner and mode, and cannot be set.
    return (found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_ctime_ns)
