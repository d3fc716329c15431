"""etcd behind TLS and with users, as production runs it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import Unavailable
from factstore.store.client import ACCEPTS_CONNECTIONS, EtcdClient, Refused, UnusableFile, diagnose
from factstore.store.types import Compare, Credentials, PutKey, Txn
from tests.cases import cases
from tests.etcd_security import PASSWORD, PATIENT, ROOT, USER, Certificates
from tests.eventually import eventually
from tests.patient_client import PatientClient


@dataclass(frozen=True)
class Secured:
    """An etcd that requires a certificate and a password."""

    server: EtcdServer
    certificates: Certificates

    @property
    def credentials(self) -> Credentials:
        return self.certificates.credentials


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    certificates = Certificates(tmp_path_factory.mktemp("secured"))
    server = EtcdServer(certificates.folder / "data", tls=certificates.tls)
    server.start()
    try:
        server.wait_ready()
        certificates.enable_users(server.endpoint)
        yield Secured(server, certificates)
    finally:
        server.stop()


@contextmanager
def presenting(certificates: Certificates, name: str) -> Iterator[str]:
    """Yield the URL of a server with one of the certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.file(f"{name}.pem"), certificates.file(f"{name}.key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the client refuses the certificate
                connection, _ = listener.accept()
                with connection, context.wrap_socket(connection, server_side=True):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.fixture
def client(secured: Secured) -> Iterator[EtcdClient]:
    made = PatientClient([secured.server.endpoint], secured.credentials)
    yield made
    made.close()


def soon() -> float:
    return time.monotonic() + 60


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
    assert client.transact(Txn([], [PutKey(key, b"w")]), deadline=soon())[0]
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


def test_a_signed_token_is_renewed_after_a_change_of_the_users(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    private, public = tmp_path / "jwt.key", tmp_path / "jwt.pem"
    for command in (
        ["genrsa", "-out", str(private), "2048"],
        ["rsa", "-in", str(private), "-pubout", "-out", str(public)],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    signed = f"jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=1h"
    server = EtcdServer(
        tmp_path / "etcd", tls=certificates.tls, extra_args=["--auth-token", signed]
    )
    server.start()
    try:
        server.wait_ready()
        certificates.enable_users(server.endpoint)
        client = PatientClient([server.endpoint], certificates.credentials)
        key = b"/factstore/signed"
        revision = client.transact(Txn([], [PutKey(key, b"v")]), deadline=soon())[1]
        for name in ("one", "two", "three"):
            certificates.etcdctl(server.endpoint, "--user", ROOT, "user", "add", f"{name}:x")
            if name == "one":
                assert client.get(key, deadline=soon()).items[0].value == b"v"
            elif name == "two":
                assert client.transact(Txn([], [PutKey(key, b"w")]), deadline=soon())[0]
            else:
                with pytest.raises(Unavailable):
                    next(iter(client.watch(key, b"", revision)))
                assert next(iter(client.watch(key, b"", revision)))[0].item.value == b"v"
        client.close()
    finally:
        server.stop()


def test_a_refusal_names_its_cause_for_operators_and_no_secret(
    secured: Secured, etcd: EtcdServer, caplog: pytest.LogCaptureFixture
) -> None:
    url, valid = secured.server.endpoint, secured.credentials
    with cases() as case:
        for reason, endpoint, credentials, key in (
            ("the user has no permission for these keys", url, valid, b"/cinder/lock"),
            (
                "are not those of a user",
                url,
                replace(valid, password="not-the-one"),
                b"/factstore/x",
            ),
            ("etcd has no users", etcd.endpoint, Credentials(USER, PASSWORD), b"/factstore/x"),
        ):
            client = EtcdClient([endpoint], credentials)
            with case(reason):
                caplog.clear()
                for _ in range(3):
                    with pytest.raises(Refused) as caught:
                        client.get(key, deadline=soon())
                assert caught.value.detail == "etcd refuses the service's credentials."
                assert reason in copy(caught.value).reason
                assert PASSWORD not in caught.value.reason + caplog.text
                assert "not-the-one" not in caught.value.reason + caplog.text
                assert [reason in line.message for line in caplog.records] == [True], (
                    "once a minute"
                )
            client.close()


def test_an_etcd_with_users_refuses_a_client_without_a_name(private_etcd: EtcdServer) -> None:
    etcdctl = ["etcdctl", *PATIENT, "--endpoints", private_etcd.endpoint]
    for command in ("user add root:root-password", "user grant-role root root", "auth enable"):
        env = {**os.environ, "ETCDCTL_API": "3"}
        subprocess.run([*etcdctl, *command.split()], check=True, capture_output=True, env=env)
    client = EtcdClient([private_etcd.endpoint], Credentials())
    with pytest.raises(Refused, match="credentials") as caught:
        client.get(b"/factstore/x", deadline=soon())
    assert "it requires a user" in caught.value.reason
    client.close()


def test_etcd_refuses_clients_without_the_certificate(secured: Secured) -> None:
    client = EtcdClient(
        [secured.server.endpoint], replace(secured.credentials, cert_file="", key_file="")
    )
    with pytest.raises(Unavailable):
        client.get(b"/factstore/x", deadline=time.monotonic() + 3)
    client.close()


def test_files_that_are_replaced_are_used_without_a_restart(
    secured: Secured, tmp_path: Path
) -> None:
    copies = {name: str(tmp_path / name) for name in ("ca_file", "cert_file", "key_file")}

    def write(ca: str, leaf: str) -> None:
        for target, source in zip(copies.values(), (ca, f"{leaf}.pem", f"{leaf}.key"), strict=True):
            shutil.copy(secured.certificates.file(source), target)

    write("ca.pem", "stranger")
    client = EtcdClient([secured.server.endpoint], replace(secured.credentials, **copies))

    def is_read() -> bool:
        with suppress(Unavailable):
            return client.get(b"/factstore/files", deadline=time.monotonic() + 2).items == []
        return False

    assert not is_read()
    Path(copies["key_file"]).write_bytes(b"")  # it is being replaced
    assert not is_read()
    write("other-ca.pem", "client")
    assert not is_read()
    write("ca.pem", "client")
    eventually(is_read)
    client.close()


def test_files_that_cannot_be_used_are_refused_at_once(secured: Secured, tmp_path: Path) -> None:
    empty, protected = tmp_path / "empty", tmp_path / "protected"
    empty.touch()
    source = ["-in", secured.certificates.file("client.key"), "-out", str(protected)]
    command = ["openssl", "pkcs8", "-topk8", "-passout", "pass:secret", *source]
    subprocess.run(command, check=True, capture_output=True)
    other = secured.certificates.file("ca.pem")
    with cases() as case:
        for option, file in (
            ("key_file", str(empty)),
            ("cert_file", str(empty)),
            ("ca_file", str(empty)),
            ("key_file", other),
            ("key_file", str(protected)),
        ):
            with case(f"{option} {file}"), pytest.raises(UnusableFile, match=file):
                EtcdClient(
                    [secured.server.endpoint], replace(secured.credentials, **{option: file})
                )


def test_without_a_ca_file_the_cas_of_the_machine_are_trusted(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", secured.certificates.file("ca.pem"))
    credentials = replace(secured.credentials, ca_file="")
    client = PatientClient([secured.server.endpoint], credentials)
    assert client.get(b"/factstore/machine", deadline=soon()).items == []
    client.close()


def test_a_member_that_cannot_issue_a_token_is_passed_over(secured: Secured) -> None:
    key = b"/factstore/passed-over"

    def passing_over(unusable: str) -> EtcdClient:
        return EtcdClient([unusable, secured.server.endpoint], secured.credentials)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = passing_over(f"https://127.0.0.1:{silent.getsockname()[1]}")
        assert client.get(key, deadline=time.monotonic() + 10).items == []
        client.close()
    client = passing_over("https://127.0.0.1:1")
    assert client.transact(Txn([], [PutKey(key, b"v")]), deadline=soon())[0]
    client.close()
    client = passing_over("https://127.0.0.1:1")
    stream = client.watch(key, b"", 1)
    assert next(iter(stream))[0].item.value == b"v"
    stream.close()
    client.close()


def test_the_reason_why_an_endpoint_cannot_be_used_is_named(
    secured: Secured, etcd: EtcdServer
) -> None:
    certificates, valid, url = secured.certificates, secured.credentials, secured.server.endpoint
    file = certificates.file

    def reason(endpoint: str, seconds: float = 60.0, **files: str) -> str:
        return diagnose(endpoint, replace(valid, **files), seconds)

    plain = etcd.endpoint
    with (
        presenting(certificates, "expired") as expired,
        presenting(certificates, "elsewhere") as elsewhere,
        socket.create_server(("127.0.0.1", 0)) as silent,
        cases() as case,
    ):
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        other_ca, ca_key = file("other-ca.pem"), file("server.key")
        assert reason(url, 1.0) == reason(plain, 1.0) == ACCEPTS_CONNECTIONS
        assert (
            reason(silent_url, 1.0)
            == reason(silent_url.replace("http", "https"), 1.0)
            == "it does not answer"
        )
        for found, expected in (
            (reason(url, ca_file=other_ca), f"its certificate is not from ca_file {other_ca}"),
            (reason(url, ca_file=""), "its certificate is not from a public CA: set ca_file"),
            (reason(url, ca_file=ca_key), f"ca_file {ca_key} does not contain a certificate"),
            (reason(expired), "its certificate has expired"),
            (reason(elsewhere), "its certificate is not valid for 127.0.0.1"),
            (reason(url, cert_file="", key_file=""), "it requires a client certificate"),
            (
                reason(url, cert_file=file("stranger.pem"), key_file=file("stranger.key")),
                "it refuses the client certificate",
            ),
            (reason(url, key_file=ca_key), "are not a certificate and its key"),
            (reason(url.replace("https", "http")), "it requires TLS: write https://"),
            (reason(plain.replace("http", "https")), "it does not use TLS: write http://"),
            (reason("https://127.0.0.1:1"), "connection refused"),
            (reason("http://etcd.invalid:2379"), "the name etcd.invalid cannot be resolved"),
        ):
            with case(expected):
                assert expected in found
