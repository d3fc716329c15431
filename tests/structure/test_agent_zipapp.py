"""The agent as one file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.zipapp import ROOT, build

MAXIMUM_BYTES = 1_200_000
PACKAGES = {"factstore", "jinja2", "markupsafe", "yaml", "_yaml"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("agent") / "factstore-agent")


def test_it_contains_no_part_of_the_server(file: Path) -> None:
    assert file.stat().st_size <= MAXIMUM_BYTES
    names = zipfile.ZipFile(file).namelist()
    assert {name.split("/")[0] for name in names if name.endswith(".py")} - {
        "__main__.py"
    } <= PACKAGES
    rooms = {"/".join(name.split("/")[:2]) for name in names if name.startswith("factstore/")}
    assert rooms == {"factstore/__init__.py", "factstore/agent", "factstore/client"}
    assert {name.split("-")[0] for name in names if "LICENSE" in name} >= {"jinja2", "pyyaml"}


def test_equal_sources_give_equal_bytes(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    for part in ("agent", "client"):
        shutil.copytree(
            ROOT / "factstore" / part,
            copy / "factstore" / part,
            copy_function=shutil.copyfile,  # without modes and times
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("factstore/__init__.py", "pyproject.toml", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    build(tmp_path / "again", root=copy)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_a_python_that_is_too_old_gets_a_message(file: Path) -> None:
    main = zipfile.ZipFile(file).read("__main__.py").decode()
    old = "import sys; sys.version_info = (3, 8, 10)\n"
    shown = subprocess.run(
        [sys.executable, "-Ic", old + main], capture_output=True, text=True, check=False
    )
    message = "factstore-agent: this is Python 3.8.10; Python 3.9 or newer is required.\n"
    assert (shown.returncode, shown.stderr) == (1, message)
