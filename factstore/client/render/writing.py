"""Writes renderings to disk, atomically and only if they have changed.

Nothing outside the target is written, and only files that this module wrote are removed.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Union

from factstore.client.os_errors import errors_about

Rendering = Union[str, Mapping[str, str]]
"""The text of one file, or the texts of several files by their path below a folder."""

LISTING = ".factstore"
"""The file in a folder that lists the files written below it."""


def replace(path: Path, text: str) -> bool:
    """Replace the content of a file with *text*, and keep its mode and owner.

    :return: True if the content changed.
    :raises OSError: the file, which the error names, cannot be read or written.
    """
    with errors_about(path):
        return _replace(path, text.encode())


def _replace(path: Path, content: bytes) -> bool:
    try:
        if path.read_bytes() == content:
            return False
        existing = path.stat()
    except FileNotFoundError:
        existing = None
    # A hidden file, so that programs that list the folder ignore it.
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    mode = 0o666 if existing is None else stat.S_IMODE(existing.st_mode)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if existing is not None:
                _copy_ownership(descriptor, existing)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def _copy_ownership(descriptor: int, existing: os.stat_result) -> None:
    """Give a new file the owner and the mode of the existing one."""
    new = os.fstat(descriptor)
    if (existing.st_uid, existing.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, existing.st_uid, existing.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(existing.st_mode))


def write(
    rendering: Rendering, target: Path, replacing: Callable[[Path, str], bool] = replace
) -> bool:
    """Write a rendering to *target*.

    A single text becomes the file *target*. Several texts become files below the folder *target*. Files
    of an earlier rendering that are not in this one are removed, and other files are kept. Each file is
    replaced atomically. Missing folders are created.

    :param replacing: writes one file and returns True if the content changed.
    :return: True if anything changed.
    :raises OSError: a file cannot be read or written.
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
    # The list is written first, so that a crash leaves no unlisted file.
    replace(listing, _listing(before | rendering.keys()))
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
        raise ValueError(f"{listing} is not a list of files: {error}") from error
    return [path for path in found if isinstance(path, str)] if isinstance(found, list) else []


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith(LISTING) and not {"", ".", ".."} & set(parts) and "\0" not in path


def _check(path: str) -> None:
    if not _is_inside(path):
        raise ValueError(f"The path {path!r} does not name a file below the folder.")


def _remove(target: Path, path: str) -> None:
    """Remove a file and the folders that become empty."""
    (target / path).unlink(missing_ok=True)
    for above in PurePosixPath(path).parents[:-1]:
        try:
            (target / above).rmdir()
        except OSError:
            break  # the folder has other files
