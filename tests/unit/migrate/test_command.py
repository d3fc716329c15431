"""``factstore-migrate`` prints, rewrites, checks and reports."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

from factstore.cmd import migrate
from tests.unit.migrate.test_rewrite import TEMPLATES, text


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template of which everything can be rewritten."""
    return Path(shutil.copy(TEMPLATES / "server.yaml", tmp_path))


def test_it_prints_the_new_template(
    template: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert migrate.main([str(template)]) == 0
    printed = capfdbinary.readouterr()
    assert b"OS::FactStore::DataBag" in printed.out
    (note,) = printed.err.decode().splitlines()
    assert "hidden parameter BrokerPassword" in note
    assert template.read_text() == text("server.yaml")


def test_it_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text("tabs.json").encode())))
    assert migrate.main(["-"]) == 0
    assert "OS::FactStore::DataBag" in capfd.readouterr().out


def test_in_place_keeps_the_mode_and_leaves_no_other_file(template: Path) -> None:
    template.chmod(0o640)
    assert migrate.main(["--in-place", str(template)]) == 0
    assert "OS::FactStore::DataBag" in template.read_text()
    assert template.stat().st_mode & 0o777 == 0o640
    assert list(template.parent.iterdir()) == [template]
    assert migrate.main(["--in-place", str(template)]) == 0


def test_check_only_reports(template: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert migrate.main(["--check", str(template)]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    line = text("server.yaml").splitlines().index("  broker0Settings:") + 1
    assert f"{template}:{line}: broker0Settings keeps facts" in printed.err
    assert template.read_text() == text("server.yaml")
    migrate.main(["--in-place", str(template)])
    assert migrate.main(["--check", str(template)]) == 0


def test_diff_shows_the_differences(template: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert migrate.main(["--diff", str(template)]) == 0
    printed = capfd.readouterr().out
    assert f"--- {template}\n+++ {template}\n" in printed
    assert "-    Type: AWS::AutoScaling::LaunchConfiguration\n" in printed
    assert "Outputs" in printed or "realm" in printed


def test_what_is_left_is_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    left = tmp_path / "left.yaml"
    left.write_text("Resources:\n  c:\n    Type: AWS::AutoScaling::LaunchConfiguration\n"
                    "    Metadata:\n      a b: 1\n")  # fmt: skip
    assert migrate.main([str(left)]) == 1
    printed = capfd.readouterr()
    assert printed.out == left.read_text()
    assert f"{left}:5: c is not rewritten: the key 'a b'" in printed.err
    assert "fragment" in printed.err


def test_a_file_that_is_not_a_template_is_named(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other, binary = tmp_path / "other.yaml", tmp_path / "binary"
    other.write_text("a:\n  - b\n c\n")
    binary.write_bytes(b"\xff\xfe")
    names = [str(other), str(binary), str(tmp_path / "missing"), str(template)]
    assert migrate.main(names) == 2
    printed = capfd.readouterr()
    assert f"{other}:3: is not YAML" in printed.err
    assert f"{binary}: is not UTF-8" in printed.err
    assert "missing: No such file" in printed.err
    assert "OS::FactStore::DataBag" in printed.out  # the others are rewritten all the same


def test_a_file_beside_the_template_is_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text(
        "heat_template_version: 2016-10-14\nresources:\n"
        "  facts: {type: 'AWS::AutoScaling::LaunchConfiguration', metadata: {a: 1}}\n"
        "  s: {type: 'OS::Nova::Server', properties: {user_data: {get_file: bin/poll.sh}}}\n"
        "  t: {type: 'OS::Nova::Server', properties: {user_data: {get_file: 'http://x/p.sh'}}}\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "poll.sh").write_text("heat resource-metadata $1 facts\n")
    monkeypatch.chdir("/")
    assert migrate.main(["--in-place", str(path)]) == 1
    printed = capfd.readouterr().err
    assert f"{path}:4: s reads the metadata of facts in a text (bin/poll.sh, line 1)" in printed
    assert f"{path}:5: t uses http://x/p.sh, which could not be checked" in printed


@pytest.mark.parametrize("given", ["Nope=prod", "realm=x"])
def test_a_parameter_that_the_template_does_not_have_is_refused(
    template: Path, capfd: pytest.CaptureFixture[str], given: str
) -> None:
    argv = ["--in-place", "--facts", "--parameter", given, str(template)]
    assert migrate.main(argv) == 2
    printed = capfd.readouterr().err
    assert f"no parameter {given.partition('=')[0]!r}" in printed
    assert "BrokerPassword, " in printed
    assert "Realm" in printed
    assert template.read_text() == text("server.yaml")  # nothing is done
    assert migrate.main(["--facts", "--parameter", "Realm", str(template)]) == 2
    assert "is not NAME=VALUE" in capfd.readouterr().err
