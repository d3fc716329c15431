"""The commands of the tutorial print what its text says."""

from __future__ import annotations

import re
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from tests.docs.pages import session
from tests.docs.terminals import Terminals
from tests.eventually import eventually
from tests.service import ApiServer


def test_every_step_of_the_tutorial_prints_the_documented_output(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([private_etcd.endpoint], tmp_path / "api") as api:
        terminals = Terminals(api.url, tmp_path)
        printed: dict[str, str] = {}
        for command, shown in session("tutorial/index.rst"):
            if command == "make standalone":
                continue  # a server is running already
            if command == "curl -X DELETE $STACK":
                eventually(lambda: "fact.expire" in terminals.output(1).read_text())
            printed[command] = terminals.run(command)
            assert not shown or printed[command].strip() == shown.strip(), command
            if "/batch" in command:
                assert '"outcome":"created"' in printed[command]
                assert '"status": 412' in terminals.run(command)
        terminals.close()
    again = "curl -i -X PUT -d 10.0.0.5 $STACK/facts/nodes/head/ip"
    assert "Factstore-Unchanged: true" in printed[again]
    refused = [c for c, text in printed.items() if " 412 " in text.partition("\n")[0]]
    assert refused == ['curl -i -X PUT -H "If-Match: $ETAG" -d c2 $STACK/facts/leader']
    assert not any(re.search(r'"status": (?!412)', text) for text in printed.values())
    assert terminals.output(0).read_text() == "10.0.0.6"
    stream = terminals.output(1).read_text()
    for word in (
        *("event: snapshot", "event: bookmark", "event: goodbye"),
        *("fact.put", "fact.delete", "fact.expire", "stack.delete"),
    ):
        assert word in stream
    assert '"alive":"up"' in terminals.output(2).read_text()
