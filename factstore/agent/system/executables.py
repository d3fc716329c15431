"""Reasons why a program cannot be executed, which the kernel does not tell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_ENV = "env"


def why_not_executable(program: Path) -> str | None:
    """Return the predicate of a sentence about a program that cannot be executed, or None."""
    try:
        with program.open("rb") as file:
            begin = file.read(512)
        if os.statvfs(program).f_flag & os.ST_NOEXEC:
            return "is on a file system that is mounted with noexec"
    except OSError:
        return None
    if begin.startswith(b"\xef\xbb\xbf"):
        return "begins with a byte order mark: save it as UTF-8 without one"
    if begin.startswith(b"\x7fELF"):
        return None
    first = begin.split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return "does not begin with #! and an interpreter, such as #!/bin/sh"
    if first.endswith(b"\r"):
        return "has lines that end with CR LF: convert it, such as with sed -i 's/\\r$//'"
    return _about_interpreter(os.fsdecode(first[2:]).split())


def _about_interpreter(words: list[str]) -> str | None:
    if not words:
        return "names no interpreter after #!"
    interpreter = Path(words[0])
    if not interpreter.exists():
        return f"needs {interpreter}, which does not exist"
    if interpreter.is_dir() or not os.access(interpreter, os.X_OK):
        return f"needs {interpreter}, which is not executable"
    name = words[1] if interpreter.name == _ENV and len(words) > 1 else "-"
    if not name.startswith("-") and "=" not in name and shutil.which(name) is None:
        return f"needs {name}, which is not in the PATH"
    return None
