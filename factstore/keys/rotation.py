"""Creating and rotating the keys of a repository, as Keystone does.

The directory can be used at any time, even after a crash.  A key is written completely and made durable
before it gets its name, and no key is removed before its successor exists.  Only one process at a time
changes a repository.
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

from factstore.keys.repository import KEY_BYTES, STAGED, Repository, RepositoryError

_LOCK = ".lock"
_TEMPORARY = ".new-"


@contextmanager
def locked_repository(path: Path) -> Iterator[Repository]:
    """Lock and yield the repository; create its directory if it does not exist.

    :raises RepositoryError: it cannot be changed, or another process has locked it.
    """
    try:
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            _sync(path.parent)
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RepositoryError(f"{path} cannot be changed: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RepositoryError(f"another process is changing {path}; try again") from None
        _give_to_owner(path, descriptor)
        try:
            yield Repository(path)
        except OSError as error:
            raise RepositoryError(f"{path} cannot be changed: {error.strerror}") from None
    finally:
        os.close(descriptor)


def is_without_primary_key(path: Path) -> bool:
    """Return True if the next :func:`create` or :func:`rotate` makes the first primary key.

    :raises RepositoryError: other users have access to the directory.
    """
    return not path.exists() or Repository(path).numbers() <= {STAGED}


def refuse_other_files(path: Path) -> None:
    """Refuse a directory without a primary key that has files of something else.

    Call it before :func:`locked_repository`, which writes to the directory.  Beside keys, other files
    do no harm; without keys, they show that this is another directory.

    :raises RepositoryError: there is such a file, or other users have access to the directory.
    """
    if not path.exists() or not is_without_primary_key(path):
        return
    repository = Repository(path)
    if STAGED in repository.numbers():
        repository.read_key(STAGED)
    if other := next((file for file in sorted(path.iterdir()) if _is_other(file)), None):
        raise RepositoryError(
            f"{path} has no primary key, and {other} is not a key. Nothing was changed. Correct "
            "[sealing] key_repository, or move the file elsewhere"
        )


def _is_other(file: Path) -> bool:
    """Return True for a file that even an interrupted creation of keys does not leave."""
    own = file.name in {str(STAGED), _LOCK} or file.name.startswith(_TEMPORARY)
    return not own and not file.is_dir()  # such as lost+found


def create(repository: Repository) -> bool:
    """Create a primary and a staged key; return False if the repository has keys already.

    :raises RepositoryError: other users have access to the directory.
    """
    if repository.numbers():
        return False
    # The staged key first: it is never used alone, so the command can be repeated after a crash.
    _write(repository, STAGED)
    _write(repository, 1)
    return True


def rotate(repository: Repository) -> int | None:
    """Make the staged key the primary key, stage a new key, and return the number of the primary key.

    :return: None if an interrupted rotation has been completed instead.
    :raises RepositoryError: the repository cannot be used.
    """
    if repository.numbers() == {STAGED}:
        _write(repository, 1)
        return None
    keys = {key.number: key.text for key in repository.read_keys()}
    primary = max(keys)
    promotes = STAGED in keys and keys[STAGED] != keys[primary]
    if promotes:
        primary += 1
        os.link(repository.file(STAGED), repository.file(primary))
        _sync(repository.path)
    _write(repository, STAGED)
    return primary if promotes else None


def surplus_keys(repository: Repository, most: int) -> list[int]:
    """Return the numbers of the oldest keys, such that *most* keys remain without them."""
    old = sorted(repository.numbers() - {STAGED})
    return old[: max(0, len(old) + 1 - most)]


def remove(repository: Repository, numbers: Collection[int]) -> None:
    """Delete keys."""
    for number in numbers:
        repository.file(number).unlink()
    _sync(repository.path)


def _write(repository: Repository, number: int) -> None:
    """Write a new key in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=repository.path, prefix=_TEMPORARY)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)))
            _give_to_owner(repository.path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, repository.file(number))
    except BaseException:
        os.unlink(temporary)
        raise
    _sync(repository.path)


def _give_to_owner(directory: Path, descriptor: int) -> None:
    """Give a file that root made to the owner of the directory, because the service has to read it."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync(directory: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
