"""Seals the sensitive values of an export with a key in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class KeyFile:
    """A key for exports: 32 random bytes as URL-safe base64, in a file.

    :param path: the file; it is created with mode 0600 if it does not exist and *create* is true.
    :raises ValueError: the file is not a key.
    :raises OSError: the file cannot be read or created.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create and not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(Fernet.generate_key() + b"\n")
        try:
            self._fernet = Fernet(path.read_bytes().strip())
        except ValueError as error:
            raise ValueError(f"{path} is not a key: {error}") from error

    def encrypt(self, value: Any) -> str:
        """Return the sealed text of a value."""
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def decrypt(self, text: str) -> Any:
        """Return the value of a sealed text.

        :raises ValueError: another key sealed it.
        """
        try:
            return json.loads(self._fernet.decrypt(text.encode()))
        except InvalidToken as error:
            raise ValueError("has values that another key sealed") from error
