"""``make test`` runs the linters and sphinx two at a time, and reports each as if it ran alone."""

from __future__ import annotations

import configparser
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("pep8", "docs", "api-ref", "releasenotes")
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "side_by_side.py"))


def script(text: str) -> str:
    return shlex.join([sys.executable, "-c", text])


def test_all_commands_run_and_each_failure_is_reported_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = script("import sys; print('first line'); sys.exit(3)")
    lines = "import time\nfor n in range(3): print('line', n, flush=True); time.sleep(0.01)"
    assert TOOL["main"]([bad, script(lines), script(lines)]) == 1
    printed = capsys.readouterr().out
    assert f"$ {bad}\nfirst line\nFAILED with status 3" in printed
    assert printed.count("line 0\nline 1\nline 2\npassed") == 2
    assert printed.endswith(f"FAILED: {bad}\n")


def test_commands_that_succeed_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    assert TOOL["main"]([script("print('a')"), script("print('b')")]) == 0
    assert "FAILED" not in capsys.readouterr().out


def test_make_test_runs_every_command_of_the_environments_for_linters_and_documentation() -> None:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "tox.ini")
    static = parser["testenv:static"]["commands"].split("\n")
    assert f"python tools/side_by_side.py {' '.join(ENVIRONMENTS)}" in static
    assert "{[testenv:site]commands}" in static
    assert "-e static,tests\n" in (ROOT / "Makefile").read_text()
    found = TOOL["commands"](ENVIRONMENTS)
    assert len(found) == sum(
        len(parser[f"testenv:{name}"]["commands"].split("\n")) - 1 for name in ENVIRONMENTS
    )
    assert not [command for command in found if "{" in command]
    assert {"mypy", "ruff check .", "ruff format --check .", "lint-imports"} <= set(found)
