"""A directory of keys with the layout of Keystone's Fernet repositories.

The name of each key file is a number.  The key with the highest number is the primary key, which wraps
new data keys.  ``0`` is the staged key.  It becomes the primary key with the next rotation, so that it
can be copied to every host before.  The other keys only unwrap.  Files with other names are ignored.

A key that other users could read is not used, because it may no longer be secret.
"""

from __future__ import annotations

import os
import re
import stat
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import NamedTuple

STAGED = 0
KEY_BYTES = 32
_NAME = re.compile(r"0|[1-9][0-9]{0,8}")
_READ_BYTES = 1024  # of a file; a key has 44 characters


class RepositoryError(Exception):
    """The repository cannot be used.  The text is for operators, not for tenants."""


class Key(NamedTuple):
    """A key: its number, and its 32 bytes in URL-safe base64."""

    number: int
    text: bytes


class Repository:
    """The directory at *path*, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_keys(self) -> list[Key]:
        """Return the keys in the order in which they are tried: primary, older keys, staged.

        :raises RepositoryError: there is no primary key, or other users have permission to read a key.
        """
        numbers = sorted(self.numbers(), key=lambda number: (number == STAGED, -number))
        if not numbers:
            raise RepositoryError(
                f"{self.path} contains no keys; create them with factstore rotate-keys"
            )
        if numbers == [STAGED]:
            raise RepositoryError(
                f"{self.path} contains a staged key only; run factstore rotate-keys"
            )
        return [Key(number, self.read_key(number)) for number in numbers]

    def numbers(self) -> set[int]:
        """Return the numbers of the keys.

        :raises RepositoryError: the directory does not exist, or other users have access to it.
        """
        try:
            mode = self.path.stat().st_mode
            names = os.listdir(self.path)
        except OSError as error:
            raise RepositoryError(
                f"{self.path} cannot be read: {error.strerror}; create it with factstore rotate-keys"
            ) from None
        if mode & 0o077:
            raise RepositoryError(
                f"other users have access to {self.path}; run chmod 0700 {self.path}"
            )
        return {int(name) for name in names if _NAME.fullmatch(name)}

    def file(self, number: int) -> Path:
        """Return the path of a key."""
        return self.path / str(number)

    def signature(self) -> object:
        """Return a value that changes whenever the directory or one of its keys changes."""
        try:
            with os.scandir(self.path) as entries:
                files = sorted(
                    (entry.name, about.st_ino, about.st_mtime_ns, about.st_mode, about.st_size)
                    for entry in entries
                    if _NAME.fullmatch(entry.name) and (about := entry.stat())
                )
            return self.path.stat().st_mode, files
        except OSError as error:
            return error.errno

    def read_key(self, number: int) -> bytes:
        """Return the text of a key.

        :raises RepositoryError: the file is not a key, or other users have permission to read it.
        """
        file = self.file(number)
        try:
            with file.open("rb") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                text = opened.read(_READ_BYTES).strip()
        except OSError as error:
            raise RepositoryError(f"the key {file} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise RepositoryError(
                f"other users have access to the key {file}; run chmod 0600 {file}"
            )
        if not is_key(text):
            raise RepositoryError(f"{file} is not a key; a key has 32 bytes in URL-safe base64")
        return text


def is_key(text: bytes) -> bool:
    """Return True if the text is 32 bytes in URL-safe base64."""
    try:
        return len(text) == 44 and len(urlsafe_b64decode(text)) == KEY_BYTES
    except ValueError:
        return False
