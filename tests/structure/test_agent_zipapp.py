"""The agent as one file."""

from __future__ import annotations

import runpy
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAXIMUM_BYTES = 1_200_000
PACKAGES = {"factstore", "jinja2", "markupsafe", "yaml", "_yaml"}


@pytest.fixture(scope="module")
def build() -> Callable[..., None]:
    build: Callable[..., None] = runpy.run_path(str(ROOT / "tools" / "agent_zipapp.py"))["build"]
    return build


@pytest.fixture(scope="module")
def file(build: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("agent") / "factstore-agent"
    build(file)
    return file


def test_it_contains_no_part_of_the_server(file: Path) -> None:
    assert file.stat().st_size <= MAXIMUM_BYTES
    names = zipfile.ZipFile(file).namelist()
    assert {name.split("/")[0] for name in names if name.endswith(".py")} - {
        "__main__.py"
    } <= PACKAGES
    rooms = {"/".join(name.split("/")[:2]) for name in names if name.startswith("factstore/")}
    assert rooms == {"factstore/__init__.py", "factstore/agent", "factstore/client"}
    assert {name.split("-")[0] for name in names if "LICENSE" in name} >= {"jinja2", "pyyaml"}


def test_equal_sources_give_equal_bytes(
    file: Path, build: Callable[..., None], tmp_path: Path
) -> None:
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
