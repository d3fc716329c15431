"""Run ``factstore`` as an operator does."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def program(module: str) -> list[str]:
    """Return the beginning of a command line that runs the ``main`` of a module.

    It cannot import osprofiler, which comes with Heat and takes a third of the time to start.
    """
    hidden = "import sys; sys.modules['osprofiler'] = None"
    return [sys.executable, "-c", f"{hidden}; from {module} import main; sys.exit(main())"]


ARGV = program("factstore.cmd.main")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.imported_commands"])


def forked(
    module: str, argv: Sequence[str], env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the ``main`` of a module until it ends, without a terminal.

    Its process is forked from one that has imported the modules, which takes a command a second.
    """
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(stdin)
        child = _forks.Process(target=_run, args=(module, argv, env, files))
        child.start()
        child.join(120)
        if child.exitcode is None:
            child.kill()
            raise subprocess.TimeoutExpired(list(argv), 120)
        printed, complaint = (file.read_text() for file in files[1:])
    return subprocess.CompletedProcess(list(argv), child.exitcode, printed, complaint)


def _run(module: str, argv: Sequence[str], env: Mapping[str, str], files: Sequence[Path]) -> None:
    """Run a ``main`` in the forked process; *files* become its standard streams."""
    main = importlib.import_module(module).main
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate(files):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0)
    sys.exit(main(argv))


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
