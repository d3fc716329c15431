"""``factstore render``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factstore.client.render import FILES, render
from tests.commands import factstore, one_line
from tests.unit.client.test_render import DOCUMENT

CONTEXT = json.dumps(DOCUMENT)


@pytest.mark.parametrize("name", FILES)
def test_a_context_is_printed_in_every_format_that_is_a_single_text(name: str) -> None:
    done = factstore("render", name, stdin=CONTEXT)
    assert (done.returncode, done.stdout) == (0, render(name, DOCUMENT))
    assert ("left out nodes/not_a_name, which" in done.stderr) == (name == "hosts")


def test_a_context_in_a_file_becomes_a_file(tmp_path: Path) -> None:
    (tmp_path / "context.json").write_text(CONTEXT)
    done = factstore("render", "hosts", tmp_path / "context.json", "--into", tmp_path / "hosts")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "hosts").read_text() == render("hosts", DOCUMENT)


def test_a_context_becomes_a_folder_of_data_bags(tmp_path: Path) -> None:
    done = factstore("render", "data-bags", "--into", tmp_path, stdin=CONTEXT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "nodes" / "c1.json").read_text())["ip"] == "10.0.0.11"


def test_several_files_cannot_be_printed() -> None:
    line = one_line(factstore("render", "data-bags", stdin=CONTEXT), 2)
    assert line == "factstore render: data-bags has several files: name a folder with --into"


@pytest.mark.parametrize("sent", ["", "<html>", "7", '{"stack": "s"}', '{"errors": []}'])
def test_an_invalid_context_leaves_the_file_unchanged(tmp_path: Path, sent: str) -> None:
    """Input of this kind is the result of a curl that failed."""
    file = tmp_path / "hosts"
    file.write_text("kept")
    line = one_line(factstore("render", "hosts", "--into", file, stdin=sent), 1)
    assert line.startswith("factstore render: standard input is not ")
    assert file.read_text() == "kept"


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    line = one_line(factstore("render", "raw", missing), 1)
    assert line == f"factstore render: {missing}: No such file or directory"
    line = one_line(factstore("render", "raw", tmp_path), 1)
    assert line == f"factstore render: {tmp_path}: Is a directory"
    line = one_line(factstore("render", "raw", "--into", tmp_path, stdin=CONTEXT), 1)
    assert line == f"factstore render: {tmp_path}: Is a directory"
