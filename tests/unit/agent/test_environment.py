"""The environment that the agent gives to hooks and to programs in facts.d."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

import factstore
from factstore.agent.system.environment import complete_environment


@pytest.fixture
def agent(tmp_path: Path) -> list[str]:
    """The command of an agent whose directory is on no PATH."""
    program = tmp_path / "installed" / "the agent.pyz"
    program.parent.mkdir()
    program.write_text("import sys; print(sys.argv[1:])")
    return [sys.executable, str(program)]


def output(command: str, environ: dict[str, str]) -> str:
    return subprocess.check_output(["/bin/sh", "-c", command], env=environ, cwd="/", text=True)


def test_programs_find_the_agent_a_home_and_a_locale(tmp_path: Path, agent: list[str]) -> None:
    environ: dict[str, str] = {}
    complete_environment(environ, tmp_path, agent)
    assert output("factstore-agent put 'a b'", environ) == "['put', 'a b']\n"
    assert output("cd && pwd", environ).strip() == pwd.getpwuid(os.geteuid()).pw_dir
    assert environ["LANG"] == "C.UTF-8"


def test_variables_that_are_set_are_kept(tmp_path: Path, agent: list[str]) -> None:
    environ = {"PATH": "/a:/b", "HOME": "/h", "LC_ALL": "de_DE.UTF-8", "USER": "u"}
    complete_environment(environ, tmp_path, agent)
    assert environ["PATH"] == f"{tmp_path}/bin:/a:/b"
    assert (environ["HOME"], environ["USER"]) == ("/h", "u")
    assert "LANG" not in environ


def test_an_agent_that_restarts_itself_has_the_same_path(tmp_path: Path, agent: list[str]) -> None:
    environ: dict[str, str] = {}
    complete_environment(environ, tmp_path, agent)
    before = dict(environ)
    complete_environment(environ, tmp_path, agent)
    assert environ == before


def test_a_state_directory_that_is_full_leaves_the_path_as_it_is(
    tmp_path: Path, agent: list[str]
) -> None:
    (tmp_path / "bin").write_text("")  # as root, only a file in the way makes writing fail
    environ = {"PATH": "/a"}
    complete_environment(environ, tmp_path, agent)
    assert environ["PATH"] == "/a"


@pytest.mark.parametrize(
    "options",
    [["program.py"], ["-I", "program.py"], ["-m", "program"], ["-c", "import program"]],
    ids=" ".join,
)
def test_the_agent_finds_the_command_that_started_it(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(factstore.__file__).parents[1])!r})\n"
        "from factstore.agent.system.environment import own_command\n"
        "print(own_command())\n"
    )
    arguments = ["--config", "a b", options[-1]]
    shown = subprocess.check_output([sys.executable, *options, *arguments], cwd=tmp_path, text=True)
    program = str(tmp_path / "program.py") if options[-1] == "program.py" else options[-1]
    assert shown == f"{[sys.executable, *options[:-1], program]}\n"
