"""The README's first commands work, and its links lead to files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.docs.pages import ROOT
from tests.docs.terminals import Terminals
from tests.service import ApiServer

START = (ROOT / "README.md").read_text().partition("\n## Start\n")[2].partition("\n## ")[0]


def test_the_first_commands_put_a_fact_and_wait_for_another(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    commands = re.findall(r"^    ((?:curl|STACK=).*)", START, re.MULTILINE)
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as api:
        terminals = Terminals(api.url, tmp_path)
        printed = [terminals.run(command) for command in commands]
        terminals.close()
    assert len(commands) == 5
    assert printed[2] == "10.0.0.5"
    assert terminals.output(0).read_text() == "10.0.0.6"


@pytest.mark.parametrize(
    "readme",
    [
        "README.md",
        *(f"examples/{name}/README.md" for name in ("slurm", "heat", "watch", "os-collect-config")),
    ],
)
def test_every_file_that_a_readme_links_to_exists(readme: str) -> None:
    file = ROOT / readme
    linked = re.findall(r"\]\(([^)#:]+)\)", file.read_text())
    assert [name for name in linked if not (file.parent / name).exists()] == []
