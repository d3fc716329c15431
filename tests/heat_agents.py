"""The source of heat-agents: the hooks that people use, and what runs them on stock images.

Its package on PyPI contains release notes only; the hooks are in the source only.  ``python -m
tests.heat_agents`` fetches it, as tox does before the tests, which open no connections to other
machines.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

VERSION = "13.0.0"
_SOURCE = Path(__file__).parents[1] / ".cache" / f"heat_agents-{VERSION}"


def heat_agents() -> Path:
    """Return the unpacked source; skip the test if it was not fetched."""
    if not _SOURCE.exists():
        pytest.skip("heat-agents is missing; python -m tests.heat_agents fetches it")
    return _SOURCE


def fetch() -> None:
    """Fetch and unpack the source, unless that was done before.  Without a network, print why."""
    if _SOURCE.exists():
        return
    _SOURCE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_SOURCE.parent) as part:
        options = ["--no-deps", "--no-binary", ":all:", "--quiet", "--dest", part]
        command = [sys.executable, "-m", "pip", "download", *options, f"heat-agents=={VERSION}"]
        if subprocess.run(command, check=False, timeout=300).returncode != 0:
            print("heat-agents cannot be fetched; the tests that need it are skipped")
            return
        (archive,) = Path(part).glob("heat*agents-*.tar.gz")
        with tarfile.open(archive) as opened:
            # Python has this argument of extractall() since 3.11.4.
            opened.extraction_filter = getattr(tarfile, "data_filter", None)
            opened.extractall(part)
        next(each for each in Path(part).iterdir() if each.is_dir()).rename(_SOURCE)


def install_hooks(directory: Path, *groups: str) -> Path:
    """Install hooks as images have them: each is an executable named after its group."""
    directory.mkdir(parents=True, exist_ok=True)
    for group in groups:
        found = heat_agents() / f"heat-config-{group}" / "install.d" / f"hook-{group}.py"
        hook = directory / group
        hook.write_text(found.read_text())
        hook.chmod(0o755)
    return directory


if __name__ == "__main__":
    fetch()
