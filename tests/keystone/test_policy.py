"""Operators can change the policy."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, refused
from tests.keystone.conftest import Login
from tests.service import ApiServer, check_log

OVERRIDES = """\
"contextualization:facts:put": "rule:project_reader"
"contextualization:facts:delete": "rule:project_reader"
"contextualization:facts:batch": "rule:project_reader"
"contextualization:context:get": "!"
"""


@pytest.fixture
def lenient(
    etcd: EtcdServer, keystone: KeystoneServer, tokens: dict[str, str], tmp_path: Path
) -> Iterator[Caller]:
    """A reader at a service whose operator lets readers write, and nobody read contexts."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(OVERRIDES)
    with (
        ApiServer(
            [etcd.endpoint],
            tmp_path / "api",
            auth="keystone",
            keystone=keystone,
            options={"oslo_policy": {"policy_file": str(policy)}},
        ) as service,
        Caller(service.url, {"X-Auth-Token": tokens["reader"]}) as reader,
    ):
        yield reader
        check_log(service)


def test_an_operator_widens_and_narrows_the_rules(
    lenient: Caller, login: Login, stack: str
) -> None:
    assert lenient.put(f"{stack}/facts/a", 1).status_code == HTTPStatus.CREATED
    refused(lenient.get(f"{stack}/context"), "403 forbidden")
    refused(lenient.delete(stack), "403 forbidden")
    # Only owners write parameters, even if others may write other facts.
    owner = login("owner")
    owner.put(f"{stack}/facts/size", json={"value": 1, "kind": "parameter"}).raise_for_status()
    batch = {"operations": [{"put": {"path": "b", "value": 1}}, {"delete": {"path": "size"}}]}
    for answer in (
        lenient.put(f"{stack}/facts/size", 2),
        lenient.put(f"{stack}/facts/size", json={"value": 1, "kind": "parameter"}),
        lenient.put(f"{stack}/facts/a", json={"value": 1, "kind": "parameter"}),
        lenient.delete(f"{stack}/facts/size"),
        lenient.post(f"{stack}/batch", json=batch),
    ):
        refused(answer, "403 parameter_protected")
    facts = {fact["path"]: fact["kind"] for fact in owner.get(f"{stack}/facts").json()["facts"]}
    assert facts == {"a": "observed", "size": "parameter"}
