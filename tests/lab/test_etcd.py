"""The private etcd, killed and restarted."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from factstore.cmd.processes.etcd import EtcdMissing, EtcdServer, EtcdTls, find_etcd
from factstore.cmd.processes.process import ChildError
from tests.etcd_cluster import EtcdCluster
from tests.eventually import eventually


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    cluster = EtcdCluster(tmp_path)
    try:
        cluster.start()
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.stop()


def call(server: EtcdServer, path: str, body: dict[str, str]) -> dict[str, object]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(server.endpoint + path, json.dumps(body).encode(), timeout=60) as answer:
        parsed: dict[str, object] = json.load(answer)
        return parsed


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def put(server: EtcdServer, key: str, value: str) -> None:
    call(server, "/v3/kv/put", {"key": encoded(key), "value": encoded(value)})


def get(server: EtcdServer, key: str) -> str | None:
    found = call(server, "/v3/kv/range", {"key": encoded(key)}).get("kvs")
    if not isinstance(found, list):
        return None
    return base64.b64decode(found[0]["value"]).decode()


def test_etcd_reports_its_version(etcd: EtcdServer) -> None:
    major, minor = etcd.version().split(".")[:2]
    assert (int(major), int(minor)) >= (3, 4)


def test_an_acknowledged_write_survives_a_kill_of_etcd(private_etcd: EtcdServer) -> None:
    put(private_etcd, "k", "v")
    private_etcd.kill()
    assert not private_etcd.healthy()
    private_etcd.start()
    private_etcd.wait_ready()
    assert get(private_etcd, "k") == "v"


def test_a_restart_keeps_address_and_data(private_etcd: EtcdServer) -> None:
    endpoint = private_etcd.endpoint
    put(private_etcd, "k", "v")
    private_etcd.restart()
    assert private_etcd.endpoint == endpoint
    assert get(private_etcd, "k") == "v"


def test_other_ports_may_serve_the_same_data(private_etcd: EtcdServer) -> None:
    put(private_etcd, "k", "v")
    private_etcd.stop()
    moved = EtcdServer(private_etcd.data_dir)
    try:
        moved.start()
        moved.wait_ready()
        assert get(moved, "k") == "v"
    finally:
        moved.kill()


def test_a_paused_etcd_is_silent_until_it_is_resumed(private_etcd: EtcdServer) -> None:
    private_etcd.pause()
    assert private_etcd.child.running
    assert not private_etcd.healthy()
    private_etcd.resume()
    eventually(private_etcd.healthy)


def test_only_a_stopped_etcd_can_be_wiped(private_etcd: EtcdServer) -> None:
    put(private_etcd, "k", "v")
    with pytest.raises(ChildError, match="stop it before"):
        private_etcd.wipe()
    private_etcd.stop()
    private_etcd.wipe()
    private_etcd.start()
    private_etcd.wait_ready()
    assert get(private_etcd, "k") is None


def test_environment_settings_for_another_etcd_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETCD_FORCE_NEW_CLUSTER", "no boolean")
    server = EtcdServer(tmp_path / "data")
    try:
        server.start()
        server.wait_ready()
    finally:
        server.kill()


def test_a_missing_etcd_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTSTORE_ETCD", "/nowhere/etcd")
    with pytest.raises(EtcdMissing, match=r"FACTSTORE_ETCD=/nowhere/etcd.*etcd-server"):
        find_etcd()


def test_an_etcd_that_cannot_start_reports_the_reason(etcd: EtcdServer, tmp_path: Path) -> None:
    server = EtcdServer(tmp_path / "data", client_port=etcd.client_port)
    server.start()
    assert server.child.wait(60)
    with pytest.raises(ChildError, match="address already in use"):
        server.child.wait_until(lambda: False, deadline=60)


def test_a_server_with_certificates_serves_clients_that_have_one(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", common_name="factstore")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    issued.cert_chain_pems[0].write_to_path(paths["cert"])
    issued.private_key_pem.write_to_path(paths["key"])
    tls = EtcdTls(
        cert=paths["cert"],
        key=paths["key"],
        ca=paths["ca"],
        client_cert_auth=True,
        probe_cert=paths["cert"],
        probe_key=paths["key"],
    )
    server = EtcdServer(tmp_path / "data", tls=tls)
    try:
        server.start()
        server.wait_ready()
        assert server.endpoint.startswith("https://")
        stranger = EtcdServer(
            tmp_path / "data",
            client_port=server.client_port,
            tls=EtcdTls(cert=paths["cert"], key=paths["key"], ca=paths["ca"]),
        )
        assert not stranger.healthy()
    finally:
        server.kill()


def test_a_cluster_keeps_serving_under_another_leader(cluster: EtcdCluster) -> None:
    leader = cluster.leader()
    put(leader, "k", "v")
    followers = cluster.followers()
    assert len(followers) == 2
    leader.kill()
    successor = cluster.leader()
    assert successor in followers
    assert get(successor, "k") == "v"
    leader.start()
    leader.wait_ready()
    assert get(leader, "k") == "v"


def test_a_cluster_without_majority_has_no_leader(cluster: EtcdCluster) -> None:
    survivor, *others = cluster.members
    for member in others:
        member.kill()
    eventually(lambda: not survivor.healthy())
    with pytest.raises(ChildError, match="no leader"):
        cluster.leader(deadline=0.2)
