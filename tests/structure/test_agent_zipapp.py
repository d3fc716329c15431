"""The agent as one file."""

from __future__ import annotations

import os
import runpy
import shutil
import zipfile
from pathlib import Path
from typing import Any

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
    assert rooms == {
        "factstore/__init__.py",
        "factstore/agent",
        "factstore/client",
        "factstore/scrape_targets.py",
    }
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
    for name in (
        "factstore/__init__.py",
        "factstore/scrape_targets.py",
        "pyproject.toml",
        "LICENSE",
    ):
        shutil.copyfile(ROOT / name, copy / name)
    build(tmp_path / "again", root=copy)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


@pytest.fixture
def beginning() -> dict[str, Any]:
    """The functions of the file's ``__main__``."""
    return runpy.run_path(str(ROOT / "tools" / "agent_main.py"))


def test_a_python_that_is_too_old_gets_a_message(beginning: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=r"this is Python 3.8.10; Python 3.9 or newer is required"):
        beginning["check_version"]((3, 8, 10, "final", 0))
    beginning["check_version"]((3, 9, 0, "final", 0))


def test_it_is_unpacked_once_and_only_the_previous_build_is_kept(
    file: Path, beginning: dict[str, Any], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    for age, name in enumerate(("previous", "older", "oldest"), 1):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (0, 1e9 - age))
    folder = Path(beginning["unpacked"](str(file), str(cache)))
    assert {each.name for each in cache.iterdir()} == {folder.name, "previous"}
    compiled = list((folder / "factstore" / "agent" / "__pycache__").iterdir())
    assert any(each.name.startswith("cli.") for each in compiled)
    for each in compiled:
        each.unlink()
    assert beginning["unpacked"](str(file), str(cache)) == str(folder)
    assert not list((folder / "factstore" / "agent" / "__pycache__").iterdir())


def test_it_runs_from_the_archive_if_others_can_write_the_directory_or_nobody_can(
    file: Path, beginning: dict[str, Any], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    folder = Path(beginning["unpacked"](str(file), str(cache)))
    for each in (cache, folder):
        each.chmod(0o775)
        assert beginning["unpacked"](str(file), str(cache)) is None
        each.chmod(0o755)
    assert beginning["unpacked"](str(file), str(cache)) == str(folder)
    (tmp_path / "file").write_text("")
    assert beginning["unpacked"](str(file), str(tmp_path / "file")) is None
