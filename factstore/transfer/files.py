"""Reads the files that are to be imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

_LARGEST = 256 * 1024 * 1024


def read_source(path: str) -> str | Mapping[str, str]:
    """Return the text of a file, or the texts of the files below a directory by their paths.

    :param path: ``-`` for standard input.
    :raises OSError: it cannot be read.
    :raises ValueError: it is not UTF-8, or too large.
    """
    if path == "-":
        return _text(path, sys.stdin.buffer.read())
    source = Path(path)
    if not source.is_dir():
        return _text(path, source.read_bytes())
    return {
        str(file.relative_to(source)): _text(str(file), file.read_bytes())
        for file in sorted(source.rglob("*"))
        if file.is_file() and file.suffix in (".json", ".yaml", ".yml")
    }


def _text(name: str, data: bytes) -> str:
    if len(data) > _LARGEST:
        raise ValueError(f"{name} is larger than {_LARGEST} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8") from error
