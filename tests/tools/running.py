"""Run the unmodified tools from their packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.commands import forked
from tests.template import Template

SCRIPTS = Path(sys.executable).parent
"""PATH with the programs of tools that are Python packages, beside ``factstore``."""
ENVIRON = {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "TOKEN": "none"}
PAGE = "how-to/stock-tools.rst"
_TOOLS = Template("tests.tools.imported_tools")


def run(
    *argv: str | Path, env: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program until it ends, and check that it succeeds."""
    found = shutil.which(argv[0], path=ENVIRON["PATH"])
    assert found is not None, f"{argv[0]} is not installed: see bindep.txt and pyproject.toml"
    done = subprocess.run(
        [found, *argv[1:]],
        env={**ENVIRON, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def shell(script: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a part of the guide."""
    return run("bash", "-e", "-c", script, **more)


def collect_once(env: Mapping[str, str]) -> str:
    """Run os-collect-config until it has collected once, check that it succeeds, and return its log.

    Its process is forked from one that has imported it; hooks and services run the command.
    """
    done = forked("tests.tools.imported_tools", ["--one-time"], env, template=_TOOLS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr
