"""Run ``factstore`` as an operator does."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.template import Template


def program(module: str) -> list[str]:
    """Return the beginning of a command line that runs the ``main`` of a module.

    It cannot import osprofiler, which comes with Heat and takes a third of the time to start.
    """
    hidden = "import sys; sys.modules['osprofiler'] = None"
    return [sys.executable, "-c", f"{hidden}; from {module} import main; sys.exit(main())"]


ARGV = program("factstore.cmd.main")

COMMANDS = Template("tests.imported_commands")


def forked(
    module: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    stdin: str = "",
    template: Template = COMMANDS,
) -> subprocess.CompletedProcess[str]:
    """Run the ``main`` of a module until it ends, without a terminal.

    Its process is forked from one that has imported the modules, which takes a command a second.
    """
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as printed,
        tempfile.TemporaryFile("w+") as complaint,
    ):
        given.write(stdin)
        files = (given, printed, complaint)
        for file in files:
            file.seek(0)
        child = template.start(
            f"{module}:main", argv, env=env, files=[file.fileno() for file in files]
        )
        status = child.wait(120)
        printed.seek(0)
        complaint.seek(0)
        return subprocess.CompletedProcess(list(argv), status, printed.read(), complaint.read())


def factstore(*arguments: object, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ``factstore`` until it ends, without a terminal.

    The line that names the configuration of ``--config-file`` is removed from stderr.
    """
    argv = [str(argument) for argument in arguments]
    kept = {k: v for k, v in os.environ.items() if k != "OS_FACTSTORE_CONFIG_FILES"}
    result = forked("factstore.cmd.main", argv, {**kept, **env}, stdin)
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
