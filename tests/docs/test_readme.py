"""The README's tour works as it stands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.cmd.children.etcd import EtcdServer
from tests.eventually import eventually
from tests.service import ApiServer

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8796"


class Terminals:
    """Runs commands with what earlier ones assigned; those that wait go on in the background."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._assigned = ""
        self._waiting: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> str:
        """What a command prints at once; nothing if it waits."""
        script = f"{self._assigned}{command.replace(ADDRESS, self._url)}"
        if assigned := re.match(r"([A-Z]+)=", command):
            self._assigned += self._print(f"{script}; declare -p {assigned[1]}")
            return ""
        if "wait=50" in command or "curl -N" in command:
            output = self.output(len(self._waiting))
            with output.open("wb") as file:
                self._waiting.append(subprocess.Popen(["bash", "-c", script], stdout=file))
            if "curl -N" in command:  # it follows from when it is there
                eventually(lambda: b"bookmark" in output.read_bytes())
            return ""
        return self._print(script)

    def _print(self, script: str) -> str:
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout

    def output(self, number: int) -> Path:
        """Where the command that was the n-th to wait prints."""
        return self._directory / f"terminal-{number}"

    def close(self) -> None:
        """End the commands that still wait, by themselves if they can."""
        for process in self._waiting:
            try:
                process.wait(10)
            finally:
                process.kill()


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


def test_every_file_that_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parents[2]
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [name for name in linked if not (root / name).exists()] == []
