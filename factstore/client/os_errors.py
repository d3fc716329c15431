"""Errors of the operating system in words, with the file that the caller asked for."""

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


def reason(error: Exception) -> str:
    """Return why a file cannot be read or written, without its name and the number of the error."""
    if isinstance(error, UnicodeError):
        return "it is not text in UTF-8"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def described(error: Exception) -> str:
    """Return the file of an error, if there is one, and the reason."""
    name = error.filename if isinstance(error, OSError) and error.strerror else None
    return f"{name}: {reason(error)}" if name else reason(error)
