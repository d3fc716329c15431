"""The agent as one file, and the Pythons that run it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST = (3, 9)
BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""The environment of a service that systemd starts, in which no locale is configured."""


def build(file: Path, **options: Path) -> Path:
    """Build the agent's file from this source tree, with the packages of the tests."""
    runpy.run_path(str(ROOT / "tools" / "agent_zipapp.py"))["build"](file, **options)
    return file


def pythons() -> dict[tuple[int, int], str]:
    """Return the Pythons of this machine that the agent supports, by version, the oldest first."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    if "PYENV_ROOT" in os.environ:
        folders += Path(os.environ["PYENV_ROOT"], "versions").glob("*/bin")
    found = {sys.version_info[:2]: sys.executable}
    for folder in folders:
        for python in folder.glob("python3.*"):
            if re.fullmatch(r"python3\.\d+", python.name):
                command = [python, "-Sc", "import sys; print(*sys.version_info[:2])"]
                shown = subprocess.run(command, capture_output=True, text=True, check=False)
                if shown.returncode == 0:  # and no shim of a version manager
                    major, minor = map(int, shown.stdout.split())
                    found.setdefault((major, minor), str(python))
    return {version: found[version] for version in sorted(found) if version >= OLDEST}
