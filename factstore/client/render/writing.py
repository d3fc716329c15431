"""Renderings on disk: replaced in one step, left alone when nothing is new.

Nothing is written outside the target, and nothing removed that was not written here.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

Rendering = str | Mapping[str, str]
"""A text for one file; or several files, as texts by the path below a folder."""

LISTING = ".factstore"
"""The file in a folder that lists what was written below it."""


def replace(path: Path, text: str) -> bool:
    """Make a file say *text*, unless it does; its mode and its owner stay.

    :return: whether anything changed.
    :raises OSError:
    """
    content = text.encode()
    try:
        if path.read_bytes() == content:
            return False
        kept = path.stat()
    except FileNotFoundError:
        kept = None
    # Hidden, and so passed over by whoever lists the folder in the meantime.
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    mode = 0o666 if kept is None else stat.S_IMODE(kept.st_mode)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if kept is not None:
                _dress(descriptor, kept)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def _dress(descriptor: int, kept: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one before it."""
    new = os.fstat(descriptor)
    if (kept.st_uid, kept.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, kept.st_uid, kept.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(kept.st_mode))


def write(
    rendering: Rendering, target: Path, replacing: Callable[[Path, str], bool] = replace
) -> bool:
    """Make *target* what the rendering says.

    A text becomes the file *target*; several become files below the folder *target*, where those of
    an earlier rendering that are in this one no more are removed, and other files stay. A reader sees
    each file as it was or as it is, and a crash leaves one of them. Missing folders are made.

    :param replacing: writes one file, and tells whether anything changed.
    :return: whether anything changed.
    :raises OSError:
    :raises ValueError: a path leads out of the folder.
    """
    if isinstance(rendering, str):
        target.parent.mkdir(parents=True, exist_ok=True)
        return replacing(target, rendering)
    for path in rendering:
        _check(path)
    target.mkdir(parents=True, exist_ok=True)
    listing = target / LISTING
    before = {path for path in _listed(listing) if _is_inside(path)}
    replace(listing, _listing(before | rendering.keys()))  # first, so that a crash leaves no strays
    changed = False
    for path, text in rendering.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        changed |= replacing(target / path, text)
    for path in sorted(before - rendering.keys()):
        _remove(target, path)
        changed = True
    replace(listing, _listing(rendering.keys()))
    return changed


def _listing(paths: Iterable[str]) -> str:
    return json.dumps(sorted(paths), indent=1) + "\n"


def _listed(listing: Path) -> list[str]:
    try:
        found = json.loads(listing.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ValueError(f"{listing} lists nothing: {error}") from error
    return [path for path in found if isinstance(path, str)] if isinstance(found, list) else []


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith(LISTING) and not {"", ".", ".."} & set(parts) and "\0" not in path


def _check(path: str) -> None:
    if not _is_inside(path):
        raise ValueError(f"{path!r} does not name a file below a folder.")


def _remove(target: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    (target / path).unlink(missing_ok=True)
    for above in PurePosixPath(path).parents[:-1]:
        try:
            (target / above).rmdir()
        except OSError:
            break  # it has other files
