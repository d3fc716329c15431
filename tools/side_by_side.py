"""Run the commands of environments in tox.ini, two at a time: ``side_by_side.py ENVIRONMENT...``.

The linters and sphinx use one processor each. The output of a command is printed when it ends, so that
the outputs do not mix. All commands run; the exit status is 1 if one of them failed.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROCESSES = 2
_SLOW = ("mypy", "sphinx-build")
"""The beginnings of the commands that take longest, which begin first."""


def commands(environments: Sequence[str]) -> list[str]:
    """Return the commands of environments, with the defaults of their arguments, slow ones first."""
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "tox.ini")
    found: list[str] = []
    for name in environments:
        found += parser[f"testenv:{name}"]["commands"].strip().splitlines()
    found = [re.sub(r"\{posargs:?([^}]*)\}", r"\1", command) for command in found]
    return sorted(found, key=lambda command: not command.startswith(_SLOW))


def run(command: str) -> bool:
    """Run a command with the shell, print its output, and return True if it succeeded."""
    began = time.monotonic()
    done = subprocess.run(  # noqa: S602 - the commands are those of tox.ini
        command,
        shell=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    end = "passed" if done.returncode == 0 else f"FAILED with status {done.returncode}"
    head = f"$ {command}\n{done.stdout}".rstrip("\n")
    print(f"{head}\n{end} after {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def main(todo: Sequence[str]) -> int:
    """Run all commands, and repeat at the end which ones failed."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        passed = list(pool.map(run, todo))
    failed = [command for command, good in zip(todo, passed, strict=True) if not good]
    for command in failed:
        print(f"FAILED: {command}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.nice(5)  # for tests that run at the same time
    sys.exit(main(commands(sys.argv[1:])))
