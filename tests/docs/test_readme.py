"""The README's tour works as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.docs.pages import ROOT
from tests.docs.terminals import Terminals
from tests.eventually import eventually
from tests.service import ApiServer

README = (ROOT / "README.md").read_text()


@pytest.fixture
def terminals(private_etcd: EtcdServer, tmp_path: Path) -> Iterator[Terminals]:
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as api:
        opened = Terminals(api.url, tmp_path)
        yield opened
        opened.close()


def tour() -> list[str]:
    """The commands of the tour, in order."""
    text = README.partition("## A tour in five minutes")[2].partition("\n## ")[0]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    script = "\n".join(lines)
    return [part.strip() for part in re.split(r"\n(?=curl |[A-Z]+=)", script)]


def test_every_step_of_the_tour_does_what_the_text_says(terminals: Terminals) -> None:
    printed = {}
    for command in tour():
        if command == "curl -X DELETE $STACK":
            eventually(lambda: "fact.expire" in terminals.output(1).read_text(), within=15)
        printed[command] = terminals.run(command)
    outputs = list(printed.values())
    assert "10.0.0.5" in outputs
    assert any("Factstore-Unchanged: true" in text for text in outputs)
    refused = [c for c, text in printed.items() if " 412 " in text.partition("\n")[0]]
    assert refused == ['curl -i -X PUT -H "If-Match: $ETAG" -d c2 $STACK/facts/leader']
    assert not any(re.search(r'"status": (?!412)', text) for text in outputs)
    terminals.close()
    assert terminals.output(0).read_text() == "boot-7f3c"
    stream = terminals.output(1).read_text()
    for told in ("event: snapshot", "fact.put", "fact.delete", "fact.expire", "event: goodbye"):
        assert told in stream
    assert '"alive":"up"' in terminals.output(2).read_text()


def test_a_batch_of_the_tour_is_refused_the_second_time(terminals: Terminals) -> None:
    batch = next(command for command in tour() if "/batch" in command)
    setting = tour()[0]
    terminals.run(setting)
    assert '"outcome":"created"' in terminals.run(batch)
    assert '"status": 412' in terminals.run(batch)


@pytest.mark.parametrize(
    "readme",
    [
        "README.md",
        *(f"examples/{name}/README.md" for name in ("slurm", "heat", "watch", "os-collect-config")),
    ],
)
def test_every_file_that_a_readme_links_to_is_there(readme: str) -> None:
    file = ROOT / readme
    linked = re.findall(r"\]\(([^)#:]+)\)", file.read_text())
    assert [name for name in linked if not (file.parent / name).exists()] == []
