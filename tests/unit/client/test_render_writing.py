"""Renderings on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from factstore.client.render import write
from factstore.client.render.writing import LISTING


def below(folder: Path) -> dict[str, str]:
    """Return the files of a folder, without the renderer's listing."""
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in folder.rglob("*")
        if file.is_file() and file.name != LISTING
    }


def test_an_unchanged_text_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "made" / "hosts"
    assert write("a\n", file)
    assert below(tmp_path) == {"made/hosts": "a\n"}
    inode = file.stat().st_ino
    assert not write("a\n", file)
    assert file.stat().st_ino == inode
    assert write("b\n", file)
    assert below(tmp_path) == {"made/hosts": "b\n"}


def test_an_existing_file_keeps_its_mode_and_is_replaced_at_once(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o620)
    with file.open() as reading:
        assert write("new", file)
        assert reading.read() == "old"
    assert file.stat().st_mode & 0o777 == 0o620


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_existing_file_keeps_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "owned"
    file.write_text("old")
    os.chown(file, 1234, 4321)
    assert write("new", file)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 4321)


def test_files_no_longer_rendered_are_removed_and_foreign_files_stay(tmp_path: Path) -> None:
    write({"nodes/c1.json": "1", "nodes/c2.json": "2", "users/ann.json": "3"}, tmp_path)
    (tmp_path / "nodes" / "mine.json").write_text("mine")
    assert write({"nodes/c1.json": "1"}, tmp_path)
    assert below(tmp_path) == {"nodes/c1.json": "1", "nodes/mine.json": "mine"}
    assert not (tmp_path / "users").exists()
    assert not write({"nodes/c1.json": "1"}, tmp_path)


def test_files_left_by_a_crash_are_removed_by_the_next_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = os.replace, iter(range(100))

    def crash(source: Path, target: Path) -> None:
        if next(count) == 2:  # the listing, the first file, then
            raise OSError("no space left")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(OSError, match="no space"):
            write({"a/1.json": "1", "a/2.json": "2"}, tmp_path)
    assert below(tmp_path) == {"a/1.json": "1"}
    write({}, tmp_path)
    assert below(tmp_path) == {}


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../../x", "a//x", "", ".", "a/.", LISTING, "a\0"]
)
def test_nothing_is_written_outside_the_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(ValueError, match="does not name a file below the folder"):
        write({"a/b": "1", path: "1"}, folder)
    assert not folder.exists()


def test_nothing_is_removed_outside_the_folder(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "x"
    other.write_text("mine")
    write({"a": "1"}, folder)
    (folder / LISTING).write_text(json.dumps(["../x", str(other), "a"]))
    write({}, folder)
    assert below(tmp_path) == {"x": "mine"}


def test_a_file_that_is_not_a_listing_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / LISTING).write_text("mine")
    with pytest.raises(ValueError, match=r"\.factstore is not a list of files"):
        write({"a": "1"}, tmp_path)
    assert (tmp_path / LISTING).read_text() == "mine"
