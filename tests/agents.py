"""Running ``factstore-agent``, and having hooks find it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ARGV = [sys.executable, "-m", "factstore.agent.cli"]


def agent_argv(config: Path) -> list[str]:
    """The program with a configuration; a command of it is to follow."""
    return [*ARGV, "--config", str(config)]


def programs(directory: Path) -> str:
    """A ``PATH`` on which ``factstore-agent`` is that of this source, wherever it is installed."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "factstore-agent"
    program.write_text(f'#!/bin/sh\nexec {" ".join(ARGV)} "$@"\n')
    program.chmod(0o755)
    return os.pathsep.join([str(directory), os.environ["PATH"]])
