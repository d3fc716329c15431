"""Run ``factstore-agent``, also from hooks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ARGV = [sys.executable, "-m", "factstore.agent.cli"]


def agent_argv(config: Path) -> list[str]:
    """Return the beginning of a command line: the program and its configuration."""
    return [*ARGV, "--config", str(config)]


def programs(directory: Path) -> str:
    """Return a ``PATH`` with the ``factstore-agent`` of this source."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "factstore-agent"
    program.write_text(f'#!/bin/sh\nexec {" ".join(ARGV)} "$@"\n')
    program.chmod(0o755)
    return os.pathsep.join([str(directory), os.environ["PATH"]])
