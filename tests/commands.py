"""Run ``factstore`` as an operator does."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path


def program(module: str) -> list[str]:
    """Return the beginning of a command line that runs the ``main`` of a module.

    It cannot import osprofiler, which comes with Heat and takes a third of the time to start.
    """
    hidden = "import sys; sys.modules['osprofiler'] = None"
    return [sys.executable, "-c", f"{hidden}; from {module} import main; sys.exit(main())"]


ARGV = program("factstore.cmd.main")


def factstore(
    *arguments: object, stdin: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command until it ends, without a terminal.

    The line that names the configuration of ``--config-file`` is removed from stderr.
    """
    kept = {k: v for k, v in os.environ.items() if k != "OS_FACTSTORE_CONFIG_FILES"}
    result = subprocess.run(
        [*ARGV, *map(str, arguments)],
        env={**kept, **env},
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    named = [str(b) for a, b in itertools.pairwise(arguments) if a == "--config-file"]
    result.stderr = result.stderr.removeprefix(f"configuration: {', '.join(named)}\n")
    return result


def one_line(result: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the output of a failed command: one line on stderr, and nothing else."""
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    return line


def config_of(state_dir: Path) -> Path:
    """Return the configuration that an ApiServer wrote."""
    return state_dir / "factstore.conf"
