"""A service that listens on an IPv6 address alone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from factstore.client import Snapshot, connect
from factstore.cmd.processes.etcd import EtcdServer
from tests.agent.instance import Instance
from tests.http import fresh_stack
from tests.service import ApiServer


def test_the_client_and_the_agent_use_a_service_with_an_ipv6_address(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    server = ApiServer([etcd.endpoint], tmp_path / "api", options={"api": {"host": "::1"}})
    url = f"http://[::1]:{urlsplit(server.url).port}"
    server.start(wait=False)  # the check of its health uses IPv4
    try:
        stack = connect(url, retry_for=90).stack(fresh_stack())
        stack.put("a", 1)
        with stack.watch(initial=True) as watch:
            item = next(watch)
            assert isinstance(item, Snapshot)
            assert item.facts[0].value == 1
        c1 = Instance(tmp_path / "c1", url, stack.name, "c1", ttl=300)
        # A proxy of the machine and the login of a person have no effect on the agent.
        others = {"http_proxy": "http://[::1]:9", "OS_PASSWORD": "s3cret", "OS_AUTH_URL": url}
        done = c1.call("run", "--once", **others)
        assert done.returncode == 0, done.stderr
        assert "ignored: OS_AUTH_URL, OS_PASSWORD" in done.stderr
        assert c1.nodes == ["c1"]
        assert stack.get("results/c1/agent/state").value == "applied"
    finally:
        server.kill()
