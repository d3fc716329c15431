"""Making and changing the keys of a repository, as Keystone does.

At every moment, also after a crash, the directory is one that can be used: a key is written whole and
made durable before it has its name, and none is removed before what takes its place is there.  Only
one process at a time changes a repository.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from factstore.keys.repository import KEY_BYTES, STAGED, Repository, Unusable

_LOCK = ".lock"


@contextmanager
def changing(path: Path) -> Iterator[Repository]:
    """The repository, which nobody else changes meanwhile; its directory is made if it is missing.

    :raises Unusable: it cannot be changed, or somebody else does.
    """
    try:
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            _sync(path.parent)
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unusable(f"{path} cannot be changed: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"somebody else changes {path} at this moment; try again") from None
        _hand_over(path, descriptor)
        try:
            yield Repository(path)
        except OSError as error:
            raise Unusable(f"{path} cannot be changed: {error.strerror}") from None
    finally:
        os.close(descriptor)


def create(repository: Repository) -> bool:
    """Make a primary and a staged key if there is none at all; whether there was none.

    :raises Unusable: the directory is not only its owner's.
    """
    if repository.numbers():
        return False
    # The staged key first: alone it is never used, so a crash in between leaves nothing half made.
    _write(repository, STAGED)
    _write(repository, 1)
    return True


def rotate(repository: Repository) -> int | None:
    """Make the staged key the primary one, and stage a new one; the number of the primary key.

    :return: None if a change that was interrupted has been brought to its end instead.
    :raises Unusable: the repository cannot be used.
    """
    if repository.numbers() == {STAGED}:
        _write(repository, 1)
        return None
    keys = {key.number: key.text for key in repository.held()}
    primary = max(keys)
    promotes = STAGED in keys and keys[STAGED] != keys[primary]
    if promotes:
        primary += 1
        os.link(repository.file(STAGED), repository.file(primary))
        _sync(repository.path)
    _write(repository, STAGED)
    return primary if promotes else None


def excess(repository: Repository, most: int) -> list[int]:
    """The oldest keys beyond the number that is to be kept, staged and primary included."""
    old = sorted(repository.numbers() - {STAGED})
    return old[: max(0, len(old) + 1 - most)]


def remove(repository: Repository, numbers: Collection[int]) -> None:
    """Take keys away for good."""
    for number in numbers:
        repository.file(number).unlink()
    _sync(repository.path)


def _write(repository: Repository, number: int) -> None:
    """Put a new key in place, in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=repository.path, prefix=".new-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)))
            _hand_over(repository.path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, repository.file(number))
    except BaseException:
        os.unlink(temporary)
        raise
    _sync(repository.path)


def _hand_over(directory: Path, descriptor: int) -> None:
    """What root makes belongs to whom the directory does: the service has to read it."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
