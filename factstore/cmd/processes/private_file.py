"""Files that only their owner may read, never seen half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, mode 0600, in one step.

    A reader sees the old content or the new, and a crash leaves one of them. The parent directory
    must exist. Raises OSError.
    """
    # mkstemp creates with mode 0600, so the content is never readable by others, not even briefly.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def private_directory(path: Path) -> None:
    """Make ``path`` and its parents; a directory made here has mode 0700. Raises OSError."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
