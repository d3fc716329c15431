"""A service for the tools, and a stack with members and facts in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from factstore.cmd.children.etcd import EtcdServer
from tests.calling import fresh_stack
from tests.service import ApiServer


@pytest.fixture(scope="module")
def api(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("tools") / "api") as server:
        yield server


class Slurm:
    """A stack with a head and a compute node."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = url.rpartition("/")[2]
        self.put("nodes/head/ip", "10.0.0.5")
        self.put("nodes/c1/ip", "10.0.0.11")
        self.put("cluster/size", 1)
        self.join("head", "control")
        self.join("c1", "compute")

    def put(self, path: str, value: object) -> None:
        answer = requests.put(f"{self.url}/facts/{path}", json={"value": value}, timeout=10)
        answer.raise_for_status()

    def delete(self, path: str) -> None:
        requests.delete(f"{self.url}/facts/{path}", timeout=10).raise_for_status()

    def join(self, name: str, group: str) -> None:
        body = {"group": group, "ttl": 3600, "attributes": {"rack": "r1"}}
        requests.put(f"{self.url}/members/{name}", json=body, timeout=10).raise_for_status()


@pytest.fixture
def slurm(api: ApiServer) -> Slurm:
    return Slurm(f"{api.url}/v1/stacks/{fresh_stack()}")
