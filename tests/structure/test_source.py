"""Rules for the source that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import factstore
from tests.cases import cases

PACKAGE = Path(factstore.__file__).parent
PROJECT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LINES, LINES_WITH_A_REASON = 300, 400
REASON = "longer than 300 lines because"
CATCH_ALL_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "manager",
    "common",
    "misc",
    "base_classes",
}


def test_packages_import_only_permitted_packages() -> None:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    checked = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache", "--config", "pyproject.toml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "kept, 0 broken" in checked.stdout


def test_a_long_module_states_its_reason() -> None:
    with cases() as case:
        for module in MODULES:
            text = module.read_text()
            length = len(text.splitlines())
            with case(module.relative_to(PROJECT)):
                assert length <= LINES_WITH_A_REASON
                if length > LINES:
                    docstring = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
                    assert REASON in docstring, f"{length} lines; shorten it or state the reason"


def test_every_module_has_a_docstring() -> None:
    with cases() as case:
        for module in MODULES:
            with case(module.relative_to(PROJECT)):
                assert ast.get_docstring(ast.parse(module.read_text()))


def test_no_module_is_named_for_anything_and_everything() -> None:
    assert not CATCH_ALL_NAMES & {module.stem for module in MODULES}
