"""The environment that the agent gives to hooks and to programs in facts.d."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from factstore.agent.system.environment import complete_environment


@pytest.fixture(autouse=True)
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The agent's program, in a directory with a program that no hook may find."""
    program = tmp_path / "installed" / "the agent.pyz"
    program.parent.mkdir()
    program.write_text("import sys; print(sys.argv[1:])")
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=None))
    return program


def output(command: str, environ: dict[str, str]) -> str:
    return subprocess.check_output(["/bin/sh", "-c", command], env=environ, cwd="/", text=True)


def test_programs_find_the_agent_a_home_and_a_locale(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    complete_environment(environ, tmp_path)
    assert output("factstore-agent put 'a b'", environ) == "['put', 'a b']\n"
    assert output("cd && pwd", environ).strip() == pwd.getpwuid(os.geteuid()).pw_dir
    assert environ["LANG"] == "C.UTF-8"


def test_variables_that_are_set_are_kept(tmp_path: Path) -> None:
    environ = {"PATH": "/a:/b", "HOME": "/h", "LC_ALL": "de_DE.UTF-8", "USER": "u"}
    complete_environment(environ, tmp_path)
    assert environ["PATH"] == f"{tmp_path}/bin:/a:/b"
    assert (environ["HOME"], environ["USER"]) == ("/h", "u")
    assert "LANG" not in environ


def test_an_agent_that_restarts_itself_has_the_same_path(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    complete_environment(environ, tmp_path)
    before = dict(environ)
    complete_environment(environ, tmp_path)
    assert environ == before


def test_a_state_directory_that_is_full_leaves_the_path_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "bin").write_text("")  # as root, only a file in the way makes writing fail
    environ = {"PATH": "/a"}
    complete_environment(environ, tmp_path)
    assert environ["PATH"] == "/a"
