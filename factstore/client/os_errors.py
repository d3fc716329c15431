"""Errors of the operating system that name the file which the caller asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Let errors name *path*, and not a temporary file beside it, nor no file at all."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
