"""The source of heat-agents: the hooks that people use, and what runs them on stock images.

Its package on PyPI contains release notes only; the hooks are in the source only.  It is fetched
once, and the tests that need it are skipped if it cannot be fetched.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

VERSION = "13.0.0"
_CACHE = Path(__file__).parents[1] / ".cache"


def heat_agents() -> Path:
    """Return the unpacked source."""
    _CACHE.mkdir(exist_ok=True)
    source = _CACHE / f"heat_agents-{VERSION}"
    with (_CACHE / "lock").open("w") as lock:  # the processes of the tests share it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not source.exists():
            _fetch(source)
    return source


def _fetch(source: Path) -> None:
    options = ["--no-deps", "--no-binary", ":all:", "--quiet", "--dest", str(_CACHE)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, f"heat-agents=={VERSION}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    archives = [*_CACHE.glob("heat*agents-*.tar.gz")]
    if not archives:
        pytest.skip(f"heat-agents {VERSION} cannot be fetched: {done.stderr[-500:]}")
    part = _CACHE / "part"
    with tarfile.open(archives[0]) as archive:
        archive.extractall(part, filter="data")
    (unpacked,) = part.iterdir()
    unpacked.rename(source)
    part.rmdir()


def install_hooks(directory: Path, *groups: str) -> Path:
    """Install hooks as images have them: each is an executable named after its group."""
    directory.mkdir(parents=True, exist_ok=True)
    for group in groups:
        found = heat_agents() / f"heat-config-{group}" / "install.d" / f"hook-{group}.py"
        hook = directory / group
        hook.write_text(found.read_text())
        hook.chmod(0o755)
    return directory
