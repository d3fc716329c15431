"""An etcd with TLS and users, as in production."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import trustme

from factstore.cmd.processes.etcd import EtcdTls
from factstore.store.types import Credentials

PATIENT = ("--dial-timeout", "60s", "--command-timeout", "60s")
"""Arguments of etcdctl on a busy machine."""

USER, PASSWORD = "factstore", "only-for-this-test"
ROOT = "root:root-password"

_LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Certificates:
    """A CA in a folder, with the certificates of a server and of a client, and unusable ones."""

    folder: Path

    def __post_init__(self) -> None:
        authority, other = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(self.file("ca.pem"))
        other.cert_pem.write_to_path(self.file("other-ca.pem"))
        expired = _LONG_AGO + datetime.timedelta(days=1)
        for name, leaf in (
            ("server", authority.issue_cert("127.0.0.1")),
            ("elsewhere", authority.issue_cert("etcd.example")),
            (
                "expired",
                authority.issue_cert("127.0.0.1", not_before=_LONG_AGO, not_after=expired),
            ),
            ("client", authority.issue_cert("factstore.example")),
            ("stranger", other.issue_cert("factstore.example")),
        ):
            leaf.private_key_pem.write_to_path(self.file(f"{name}.key"))
            leaf.cert_chain_pems[0].write_to_path(self.file(f"{name}.pem"))

    def file(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def tls(self) -> EtcdTls:
        """The settings of an etcd that requires a certificate of its clients."""
        return EtcdTls(
            cert=self.folder / "server.pem",
            key=self.folder / "server.key",
            ca=self.folder / "ca.pem",
            client_cert_auth=True,
            probe_cert=self.folder / "client.pem",
            probe_key=self.folder / "client.key",
        )

    @property
    def credentials(self) -> Credentials:
        """Valid credentials, after :meth:`enable_users`."""
        files = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
        paths = {option: self.file(name) for option, name in files.items()}
        return Credentials(username=USER, password=PASSWORD, **paths)

    def enable_users(self, endpoint: str) -> None:
        """Create the root user, and a user with access to the keys below our root only."""
        for command in (
            ["user", "add", ROOT],
            ["user", "grant-role", "root", "root"],
            ["user", "add", f"{USER}:{PASSWORD}"],
            ["role", "add", "facts"],
            ["role", "grant-permission", "facts", "--prefix=true", "readwrite", "/factstore/"],
            ["user", "grant-role", USER, "facts"],
            ["auth", "enable"],
        ):
            self.etcdctl(endpoint, *command)

    def etcdctl(self, endpoint: str, *arguments: str) -> None:
        """Run etcdctl with the certificate of the client."""
        etcdctl = shutil.which("etcdctl")
        assert etcdctl is not None
        base = [etcdctl, *PATIENT, "--endpoints", endpoint, "--cacert", self.file("ca.pem")]
        base += ["--cert", self.file("client.pem"), "--key", self.file("client.key")]
        env = {"ETCDCTL_API": "3", "PATH": ""}
        subprocess.run([*base, *arguments], check=True, capture_output=True, env=env)
