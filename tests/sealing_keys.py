"""Real repositories of sealing keys for tests, and their encryption."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path

from factstore.core.operations.encryption import Encryption
from factstore.core.ports import Clock
from factstore.keys.keyring import RepositoryKeyring
from factstore.keys.repository import Key, Repository
from factstore.keys.rotation import create, locked_repository, remove, rotate
from factstore.wsgi.clock import SystemClock


class Nowhere(Repository):
    """Return a repository of two constant keys, for property tests."""

    def __init__(self) -> None:
        self._held = [Key(1, urlsafe_b64encode(b"1" * 32)), Key(0, urlsafe_b64encode(b"0" * 32))]

    def read_keys(self) -> list[Key]:
        return self._held

    def signature(self) -> object:
        return 1


def make_keys(path: Path) -> Path:
    """Create a repository with its first keys."""
    with locked_repository(path) as repository:
        assert create(repository)
    return path


def rotate_keys(path: Path) -> int:
    """Add a primary key, and return its number."""
    with locked_repository(path) as repository:
        primary = rotate(repository)
    assert primary is not None
    return primary


def lose_keys(path: Path, *numbers: int) -> None:
    with locked_repository(path) as repository:
        remove(repository, numbers)


def sealing_with(path: Path, clock: Clock | None = None) -> Encryption:
    return Encryption(RepositoryKeyring(Repository(path), clock or SystemClock()))
