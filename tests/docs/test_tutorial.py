"""The tutorial works as it stands."""

from __future__ import annotations

from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from tests.docs.pages import session
from tests.docs.terminals import Terminals
from tests.service import ApiServer


def test_every_step_of_the_tutorial_prints_what_the_text_says(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as api:
        terminals = Terminals(api.url, tmp_path)
        printed: dict[str, str] = {}
        for command, said in session("tutorial/index.rst"):
            if command == "make standalone":
                continue  # it runs already
            printed[command] = terminals.run(command)
            assert not said or printed[command].strip() == said.strip(), command
        assert (
            "Factstore-Unchanged: true"
            in printed["curl -i -X PUT -d 10.0.0.5 $STACK/facts/nodes/head/ip"]
        )
        terminals.close()
    assert terminals.output(0).read_text() == "10.0.0.6"
    stream = terminals.output(1).read_text()
    for told in ("event: snapshot", "event: bookmark", "fact.put", "fact.delete", "stack.delete"):
        assert told in stream
