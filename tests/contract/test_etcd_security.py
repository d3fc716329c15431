"""etcd behind TLS and with users, as production runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme

from factstore.cmd.processes.etcd import EtcdServer, EtcdTls
from factstore.core.errors import Unavailable
from factstore.store.client import EtcdClient
from factstore.store.types import Compare, Credentials, GetKey, PutKey, Txn

USER, PASSWORD = "factstore", "only-for-this-test"


@dataclass(frozen=True)
class Secured:
    """An etcd that requires a certificate and a password, with valid credentials."""

    server: EtcdServer
    credentials: Credentials


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, leaf in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("client", authority.issue_cert("factstore.example")),
    ):
        leaf.private_key_pem.write_to_path(folder / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    tls = EtcdTls(
        cert=folder / "server.pem",
        key=folder / "server.key",
        ca=folder / "ca.pem",
        client_cert_auth=True,
        probe_cert=folder / "client.pem",
        probe_key=folder / "client.key",
    )
    server = EtcdServer(folder / "data", tls=tls)
    server.start()
    try:
        server.wait_ready()
        _enable_users(server, folder)
        files = {f"{n}_file": str(folder / p) for n, p in _FILES.items()}
        yield Secured(server, Credentials(username=USER, password=PASSWORD, **files))
    finally:
        server.stop()


_FILES = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}


def _enable_users(server: EtcdServer, folder: Path) -> None:
    """Create the root user, and a user with access to the keys below our root only."""
    etcdctl = shutil.which("etcdctl")
    assert etcdctl is not None
    base = [etcdctl, "--endpoints", server.endpoint]
    base += ["--cacert", str(folder / "ca.pem"), "--cert", str(folder / "client.pem")]
    base += ["--key", str(folder / "client.key")]
    for command in (
        ["user", "add", "root:root-password"],
        ["user", "grant-role", "root", "root"],
        ["user", "add", f"{USER}:{PASSWORD}"],
        ["role", "add", "facts"],
        ["role", "grant-permission", "facts", "--prefix=true", "readwrite", "/factstore/"],
        ["user", "grant-role", USER, "facts"],
        ["auth", "enable"],
    ):
        subprocess.run(
            base + command, check=True, capture_output=True, env={"ETCDCTL_API": "3", "PATH": ""}
        )


@pytest.fixture
def client(secured: Secured) -> Iterator[EtcdClient]:
    made = EtcdClient([secured.server.endpoint], secured.credentials)
    yield made
    made.close()


def soon() -> float:
    return time.monotonic() + 5


def test_all_operations_work_with_tls_and_a_user(client: EtcdClient) -> None:
    lease = client.grant(60, deadline=soon())
    key = b"/factstore/everything"
    absent = Compare(key, "create", "==", 0)
    held, revision = client.transact(Txn([absent], [PutKey(key, b"v", lease)]), deadline=soon())
    assert held
    assert client.get(key, deadline=soon()).items[0].value == b"v"
    stream = client.watch(key, b"", revision)
    assert next(iter(stream))[0].item.value == b"v"
    stream.close()
    assert client.renew(lease, deadline=soon())
    client.revoke(lease, deadline=soon())
    assert client.get(key, deadline=soon()).items == []


def test_a_token_that_etcd_no_longer_knows_is_renewed_by_itself(client: EtcdClient) -> None:
    key = b"/factstore/renewed"
    client.transact(Txn([], [PutKey(key, b"v")]), deadline=soon())
    client._token = "forgotten.1"
    assert client.get(key, deadline=soon()).items[0].value == b"v"
    client._token = "forgotten.2"
    assert client.transact(Txn([], [PutKey(key, b"w"), GetKey(key)]), deadline=soon())[0]
    lease = client.grant(60, deadline=soon())
    client._token = "forgotten.4"
    assert client.renew(lease, deadline=soon())
    client.revoke(lease, deadline=soon())
    client._token = "forgotten.5"
    assert not client.renew(lease, deadline=soon())


def test_a_watch_opened_with_an_expired_token_requests_a_new_token(client: EtcdClient) -> None:
    key = b"/factstore/watched"
    _, revision = client.transact(Txn([], [PutKey(key, b"v")]), deadline=soon())
    client._token = "forgotten.3"
    with pytest.raises(Unavailable):
        next(iter(client.watch(key, b"", revision)))
    assert next(iter(client.watch(key, b"", revision)))[0].item.value == b"v"


def test_keys_beyond_the_users_role_are_refused_without_a_secret_in_the_error(
    client: EtcdClient,
) -> None:
    with pytest.raises(Unavailable) as caught:
        client.get(b"/cinder/lock", deadline=soon())
    assert "credentials" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_wrong_password_makes_the_store_unavailable(secured: Secured) -> None:
    client = EtcdClient(
        [secured.server.endpoint], replace(secured.credentials, password="not-the-one")
    )
    with pytest.raises(Unavailable) as caught:
        client.get(b"/factstore/x", deadline=soon())
    assert "not-the-one" not in str(caught.value)
    client.close()


def test_an_etcd_with_users_refuses_a_client_without_a_name(private_etcd: EtcdServer) -> None:
    etcdctl = ["etcdctl", "--endpoints", private_etcd.endpoint]
    for command in ("user add root:root-password", "user grant-role root root", "auth enable"):
        env = {**os.environ, "ETCDCTL_API": "3"}
        subprocess.run([*etcdctl, *command.split()], check=True, capture_output=True, env=env)
    client = EtcdClient([private_etcd.endpoint], Credentials())
    with pytest.raises(Unavailable, match="credentials"):
        client.get(b"/factstore/x", deadline=soon())
    client.close()


def test_an_etcd_without_users_refuses_a_client_with_a_name(etcd: EtcdServer) -> None:
    client = EtcdClient([etcd.endpoint], Credentials(USER, PASSWORD))
    with pytest.raises(Unavailable, match="credentials") as caught:
        client.get(b"/factstore/x", deadline=soon())
    assert PASSWORD not in str(caught.value)
    client.close()


def test_etcd_refuses_clients_without_the_certificate(secured: Secured) -> None:
    client = EtcdClient(
        [secured.server.endpoint], replace(secured.credentials, cert_file="", key_file="")
    )
    with pytest.raises(Unavailable):
        client.get(b"/factstore/x", deadline=time.monotonic() + 3)
    client.close()
