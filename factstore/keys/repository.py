"""A directory of keys, laid out as Keystone's Fernet repositories are.

Each key is a file named by a number.  The highest is the primary key, with which all that is new is
wrapped; ``0`` is staged: it will be the primary key after the next rotation, so that it can be on every
host by then.  The others only unwrap.  Other names are none of ours.

What others could read is not used: a key that may be known to others is no secret.
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
_LENGTH = 1024  # of a file; a key has 44 characters


class Unusable(Exception):
    """A repository that cannot be used, and what would be right; for operators, not for tenants."""


class Key(NamedTuple):
    """One key: its number, and its 32 bytes in URL-safe base64."""

    number: int
    text: bytes


class Repository:
    """The directory at *path*; it need not be there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def held(self) -> list[Key]:
        """The keys in the order in which they are tried: primary, older ones, staged.

        :raises Unusable: there is no primary key, or others may read what is there.
        """
        numbers = sorted(self.numbers(), key=lambda number: (number == STAGED, -number))
        if not numbers:
            raise Unusable(f"{self.path} holds no keys; make some: factstore rotate-keys")
        if numbers == [STAGED]:
            raise Unusable(f"{self.path} holds a staged key only; run factstore rotate-keys")
        return [Key(number, self._read(number)) for number in numbers]

    def numbers(self) -> set[int]:
        """The numbers of the keys that are there.

        :raises Unusable: the directory is missing, or is not only its owner's.
        """
        try:
            mode = self.path.stat().st_mode
            names = os.listdir(self.path)
        except OSError as error:
            raise Unusable(
                f"{self.path} cannot be read: {error.strerror}; make it: factstore rotate-keys"
            ) from None
        if mode & 0o077:
            raise Unusable(
                f"others may look into {self.path}; it must be its owner's alone: "
                f"chmod 0700 {self.path}"
            )
        return {int(name) for name in names if _NAME.fullmatch(name)}

    def file(self, number: int) -> Path:
        """Where a key lies."""
        return self.path / str(number)

    def signature(self) -> object:
        """Something that is another whenever the directory or one of its keys is."""
        try:
            with os.scandir(self.path) as entries:
                held = sorted(
                    (entry.name, about.st_ino, about.st_mtime_ns, about.st_mode, about.st_size)
                    for entry in entries
                    if _NAME.fullmatch(entry.name) and (about := entry.stat())
                )
            return self.path.stat().st_mode, held
        except OSError as error:
            return error.errno

    def _read(self, number: int) -> bytes:
        file = self.file(number)
        try:
            with file.open("rb") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                text = opened.read(_LENGTH).strip()
        except OSError as error:
            raise Unusable(f"the key {file} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise Unusable(f"others may read the key {file}; it must be: chmod 0600 {file}")
        if not is_key(text):
            raise Unusable(f"{file} is no key: it must be 32 bytes in URL-safe base64")
        return text


def is_key(text: bytes) -> bool:
    """Whether it is 32 bytes in URL-safe base64."""
    try:
        return len(text) == 44 and len(urlsafe_b64decode(text)) == KEY_BYTES
    except ValueError:
        return False
