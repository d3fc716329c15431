"""The name of the distribution, which differs from that of the import package."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "openstack-factstore"

# Indexes have a distribution `factstore` of other people.
FOREIGN = re.compile(
    r"""
    (?<![\w./-]) factstore (?:
        \[ (?:agent|server|memcached|page|keystone|heat) \b   # with extras
        | \s* (?:==|>=|~=|<=) \s* \d                          # with a version
    )
    | \b (?:pip|pip3|pipx|uv|uvx|easy_install|poetry|conda)\b (?:[^\n]|\\\n)*?
      \b (?:install|add|run|download|inject|wheel)\b (?:[^\n]|\\\n)*?
      [\s"'=,] (?<![:/]) factstore (?! [\w/.:-])              # as an argument of an installer
    """,
    re.VERBOSE | re.IGNORECASE,
)
INSTALLED = [
    "pip install factstore",
    "``pip install factstore`` installs the client.",
    "/opt/x/bin/pip install --index-url https://packages.example/simple 'factstore[agent]'",
    '  - [/opt/factstore/bin/pip, install, "factstore"]',
    "pip install \\\n    --upgrade factstore",
    "install factstore[server]",
    "factstore>=0.1",
    "uv tool install factstore",
]
OURS = [
    "pip install openstack-factstore",
    "pip install 'openstack-factstore[server]'",
    "/opt/factstore/bin/pip install '.[server]'",
    "python3 -m pip install /src/factstore",
    "install -d -o factstore -g factstore /etc/factstore/sealing-keys",
]


def foreign(text: str) -> list[str]:
    """Return the parts of a text that install a distribution named ``factstore``."""
    return [match[0] for match in FOREIGN.finditer(text)]


@pytest.mark.parametrize("text", INSTALLED)
def test_a_foreign_distribution_is_found(text: str) -> None:
    assert foreign(text)


@pytest.mark.parametrize("text", OURS)
def test_our_own_distribution_is_allowed(text: str) -> None:
    assert foreign(text) == []


def test_no_file_installs_a_foreign_distribution() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        skipped = file == Path(__file__) or not file.is_file()
        if not skipped and (wrong := foreign(file.read_text(errors="replace"))):
            found[name] = wrong
    assert found == {}


def test_the_distribution_is_installed_under_our_own_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == NAME
    assert importlib.metadata.version(NAME) == project["version"]
