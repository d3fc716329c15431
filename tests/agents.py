"""Run ``factstore-agent``, also from hooks."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

# An instance has no osprofiler. It comes with Heat, and takes a third of the time to start.
_PROGRAM = "import sys; sys.modules['osprofiler'] = None; from factstore.agent.cli import main; "
ARGV = [sys.executable, "-c", f"{_PROGRAM}sys.exit(main())"]


def agent_argv(config: Path) -> list[str]:
    """Return the beginning of a command line: the program and its configuration."""
    return [*ARGV, "--config", str(config)]


def programs(directory: Path) -> str:
    """Return a ``PATH`` with the ``factstore-agent`` of this source."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "factstore-agent"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(ARGV)} "$@"\n')
    program.chmod(0o755)
    return os.pathsep.join([str(directory), os.environ["PATH"]])
