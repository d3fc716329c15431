"""A service for the tools, and a stack with members and facts in it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.http import fresh_stack
from tests.service import ApiServer


@pytest.fixture
def api(one_worker: ApiServer) -> ApiServer:
    return one_worker


class Slurm:
    """A stack with a head and a compute node, for its owner."""

    def __init__(self, url: str, token: str = "none") -> None:
        self.url = url
        self.name = url.rpartition("/")[2]
        self._session = requests.Session()
        self._session.headers["X-Auth-Token"] = token
        self.put("nodes/head/ip", "10.0.0.5")
        self.put("nodes/c1/ip", "10.0.0.11")
        self.put("cluster/size", 1)
        self.join("head", "control")
        self.join("c1", "compute")

    def put(self, path: str, value: object, **more: object) -> None:
        self._call("PUT", f"facts/{path}", {"value": value, **more})

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def join(self, name: str, group: str) -> None:
        body = {"group": group, "ttl": 3600, "attributes": {"rack": "r1"}}
        self._call("PUT", f"members/{name}", body)

    def applied(self, name: str) -> bool:
        """Return True if a member has applied the newest change."""
        found: dict[str, Any] = self._call("GET", "convergence").json()
        return name not in found["lagging"]

    def issue(self, **about: str) -> dict[str, Any]:
        """Issue a grant."""
        grant: dict[str, Any] = self._call("POST", "grants", about).json()
        return grant

    def _call(self, method: str, path: str, body: object = None) -> requests.Response:
        answer = self._session.request(method, f"{self.url}/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer


@pytest.fixture
def slurm(api: ApiServer) -> Slurm:
    return Slurm(f"{api.url}/v1/stacks/{fresh_stack()}")
