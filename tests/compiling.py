"""``python -m tests.compiling PATHS`` has the modules of tests compiled, before processes share a run.

pytest compiles a module when it imports it, in twice the time of Python itself. In a fresh checkout all
processes of a run would do so with the same modules at the same time. It does nothing otherwise.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PROCESSES = 2


def uncompiled(paths: Iterable[str]) -> list[Path]:
    """Return the files with tests that pytest has not compiled, largest first.

    :param paths: arguments of pytest; those that are not paths are ignored.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        found.update(path.rglob("test_*.py") if path.is_dir() else [path] if path.is_file() else [])
    left = [
        file for file in found if not any(file.parent.glob(f"__pycache__/{file.stem}.*-pytest-*"))
    ]
    return sorted(left, key=lambda file: (-file.stat().st_size, file))


def main(arguments: list[str]) -> int:
    """Collect the tests of these files. Failures are left to the run itself."""
    files = uncompiled(arguments)
    parts = [part for n in range(PROCESSES) if (part := files[n::PROCESSES])]
    collect = [sys.executable, "-m", "pytest", "--collect-only", "--quiet"]
    running = [
        subprocess.Popen([*collect, *map(str, part)], stdout=subprocess.DEVNULL) for part in parts
    ]
    for each in running:
        each.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
