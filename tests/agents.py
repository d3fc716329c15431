"""Run ``factstore-agent``, also from hooks."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from tests.commands import program

ARGV = program("factstore.agent.cli")


def agent_argv(config: Path) -> list[str]:
    """Return the beginning of a command line: the program and its configuration."""
    return [*ARGV, "--config", str(config)]


def programs(directory: Path) -> str:
    """Return a ``PATH`` with the ``factstore-agent`` of this source."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "factstore-agent"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(ARGV)} "$@"\n')
    script.chmod(0o755)
    return os.pathsep.join([str(directory), os.environ["PATH"]])
