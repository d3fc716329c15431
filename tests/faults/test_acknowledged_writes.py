"""Acknowledged writes survive a crash at the worst moment; others are complete or missing."""

from __future__ import annotations

import random
from typing import Any

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.faults.checker import History
from tests.faults.conftest import StartApi, in_the_gate
from tests.faults.etcd_gateway import RawEtcd
from tests.faults.ledger import check_attempts
from tests.faults.plain_http import Caller, fact_url
from tests.faults.readiness import page, put
from tests.faults.writers import Writers
from tests.service import ApiServer

ROUNDS = 8
STACK = "acknowledged"


class Promises:
    """A single writer of one stack, who knows exactly what must be there."""

    def __init__(self, server: ApiServer, chance: random.Random) -> None:
        self._server = server
        self._chance = chance
        self._count = 0
        self.facts: dict[str, dict[str, Any]] = {}
        self._keep(put(server, STACK, "first", 0))

    def one_more(self) -> None:
        """Have one random write acknowledged."""
        self._count += 1
        known = sorted(self.facts)
        kind = self._chance.choice(["create", "update", "delete", "batch"])
        with Caller(self._server.url) as caller:
            if kind == "delete" and len(known) > 1:
                path = self._chance.choice(known)
                answer = caller.call("DELETE", fact_url(STACK, path))
                assert answer.status == 204, answer
                del self.facts[path]
            elif kind == "batch":
                self._batch(caller, known)
            else:
                path = self._chance.choice(known) if kind == "update" else f"p{self._count}"
                answer = caller.call("PUT", fact_url(STACK, path), {"value": self._count})
                assert answer.status == (200 if path in self.facts else 201), answer
                assert answer.etag == f'"{answer.json()["etag"]}"'
                self._keep(answer.json())

    def _batch(self, caller: Caller, known: list[str]) -> None:
        dropped = self._chance.choice(known)
        puts = [f"b{self._count}-{number}" for number in range(5)]
        operations: list[object] = [{"delete": {"path": dropped}}]
        operations += [{"put": {"path": path, "value": self._count}} for path in puts]
        answer = caller.call("POST", f"/v1/stacks/{STACK}/batch", {"operations": operations})
        assert answer.status == 200, answer
        del self.facts[dropped]
        for result in answer.json()["results"][1:]:
            self._keep(result["fact"])

    def _keep(self, fact: dict[str, Any]) -> None:
        self.facts[fact["path"]] = fact

    def check(self) -> None:
        """Everything acknowledged is there as it was acknowledged, and nothing else is."""
        found = {fact["path"]: fact for fact in page(self._server, STACK)["facts"]}
        assert found == self.facts


@in_the_gate
@pytest.mark.timeout(7200)  # for a large FACTSTORE_FAULTS
def test_an_acknowledged_write_survives_a_kill_and_no_write_is_partial(
    etcd_server: EtcdServer, start_api: StartApi, seed: int, scale: int
) -> None:
    server = start_api([etcd_server.endpoint])
    raw = RawEtcd(etcd_server.endpoint)
    promises = Promises(server, random.Random(seed))
    others = Writers([server.url], 3, seed)
    others.start()
    for number in range(ROUNDS * scale):
        target = others.done + 5
        eventually(lambda t=target: others.done >= t, 60)
        promises.one_more()
        if number % 2:
            server.kill()
            server.start()
        else:
            etcd_server.kill()
            etcd_server.start()
            etcd_server.wait_ready()
        promises.check()
    others.stop()

    history = History(raw.keyspace)
    raw.witness(history)
    counts = {answer: others.ledger.count(answer) for answer in ("done", "refused", "unknown")}
    print(f"writes: {counts}, revisions: {history.revision}")
    assert others.complaints == []
    assert check_attempts(history, others.ledger.attempts) == []
    assert counts["unknown"] > 0, "no request was under way when a server was killed"
