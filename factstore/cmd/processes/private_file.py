"""Files that only their owner can read and that are replaced atomically."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the content of ``path`` with ``text`` atomically, with mode 0600.

    The parent directory must exist. Raises OSError.
    """
    # mkstemp creates the file with mode 0600, so other users can never read the content.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def private_directory(path: Path) -> None:
    """Create ``path`` with mode 0700, and its parents. Raises OSError."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
