"""The sample configurations of proxies, run by the proxies themselves."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from factstore.cmd.processes.ports import free_port
from factstore.cmd.processes.process import Child
from tests.http import Caller
from tests.raw_http import PATIENCE, Answer, read_answer
from tests.streaming import Stream

SAMPLES = Path(__file__).parents[2] / "etc"
BACKENDS = ("192.0.2.11:8796", "192.0.2.12:8796")
NAME = "localhost"  # whom the certificate is for, and whom a service without authentication serves
ROOT = os.geteuid() == 0


def program(*names: str) -> str:
    """Return the path of a server, which may be outside of the users' PATH."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise AssertionError(f"install {names[0]}: tools/system-packages test")


@dataclass(frozen=True)
class Certificate:
    """The certificate of the proxy, and the CA that signed it."""

    authority: Path
    chain: Path
    key: Path
    both: Path

    @classmethod
    def make(cls, folder: Path) -> Certificate:
        authority, made = trustme.CA(), Certificate(*(folder / f"{n}.pem" for n in "acks"))
        leaf = authority.issue_cert(NAME)
        authority.cert_pem.write_to_path(made.authority)
        leaf.cert_chain_pems[0].write_to_path(made.chain)
        leaf.private_key_pem.write_to_path(made.key)
        leaf.private_key_and_cert_chain_pem.write_to_path(made.both)
        return made

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


class Proxy:
    """One proxy in front of two services; a context manager that runs it."""

    def __init__(self, kind: str, backends: Sequence[str], folder: Path) -> None:
        """``backends`` are the services' addresses, as in ``127.0.0.1:8796``."""
        self.kind = kind
        self.port = free_port()
        self.log_path = folder / "proxy.log"
        self.certificate = Certificate.make(folder)
        self._folder = folder
        self._backends = backends
        self.child = Child(kind)

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    def start(self) -> None:
        argv = {"nginx": self._nginx, "haproxy": self._haproxy, "apache": self._apache}[self.kind]()
        self.child.start(argv, log_path=self.log_path)
        self.child.wait_until(self.listens, 20)

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self.child.terminate(5)

    def caller(self, headers: Mapping[str, str] | None = None) -> Caller:
        made = Caller(self.url, headers)
        made.session.verify = str(self.certificate.authority)
        return made

    def stream(self, path: str, headers: Mapping[str, str] | None = None) -> Stream:
        return Stream(self.url, path, headers, tls=self.certificate.context())

    def connect(self) -> ssl.SSLSocket:
        """Return a connection to the proxy."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return self.certificate.context().wrap_socket(plain, server_hostname=NAME)

    def exchange(self, raw: bytes, method: str = "GET") -> Answer:
        """Send bytes unchanged, and return one response."""
        with self.connect() as secure:
            secure.sendall(raw)
            return read_answer(secure, method)

    def _sample(self, name: str, addresses: Mapping[str, str]) -> Path:
        """Return a sample with other addresses and no other change."""
        text = (SAMPLES / name).read_text()
        for old, new in {**dict(zip(BACKENDS, self._backends, strict=True)), **addresses}.items():
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        left = re.findall(r"example\.org|192\.0\.2\.|:443\b|/etc/ssl/|/etc/haproxy/\S+\.pem", text)
        assert not left
        file = self._folder / Path(name).name
        file.write_text(text)
        return file

    def _nginx(self) -> list[str]:
        sample = self._sample(
            "nginx/factstore.conf",
            {
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "factstore.example.org": NAME,
                "/etc/ssl/factstore.pem": str(self.certificate.chain),
                "/etc/ssl/factstore.key": str(self.certificate.key),
            },
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "\n".join(f"{kind}_temp_path {self._folder / kind};" for kind in kinds)
        config = self._folder / "nginx.conf"
        config.write_text(
            f"{'user root;' if ROOT else ''}\n"  # the folder is the tester's own
            f"daemon off;\nworker_processes 1;\npid {self._folder}/nginx.pid;\n"
            "error_log stderr;\nevents { }\n"
            f"http {{\naccess_log off;\n{folders}\ninclude {sample};\n}}\n"
        )
        return [program("nginx"), "-p", str(self._folder), "-e", "stderr", "-c", str(config)]

    def _haproxy(self) -> list[str]:
        sample = self._sample(
            "haproxy/factstore.cfg",
            {
                "bind :443": f"bind 127.0.0.1:{self.port}",
                "/etc/haproxy/factstore.pem": str(self.certificate.both),
            },
        )
        base = self._folder / "base.cfg"
        base.write_text("global\n    maxconn 1000\ndefaults\n    log global\n")
        return [program("haproxy"), "-db", "-f", str(base), "-f", str(sample)]

    def _apache(self) -> list[str]:
        sample = self._sample(
            "apache2/factstore.conf",
            {
                "*:443": f"127.0.0.1:{self.port}",
                "factstore.example.org": NAME,
                "/etc/ssl/factstore.pem": str(self.certificate.chain),
                "/etc/ssl/factstore.key": str(self.certificate.key),
            },
        )
        text = (SAMPLES / "apache2/factstore.conf").read_text()
        (enabled,) = re.findall(r"a2enmod (.+)", text)
        # a2enmod also enables the dependencies of these.
        modules = ["watchdog", "slotmem_shm", "socache_shmcb", *enabled.split()]
        return apache(self._folder, self.port, sample, modules)


def apache(folder: Path, port: int, site: Path, modules: Sequence[str]) -> list[str]:
    """Return the command that runs Apache with one site, on a port of the loopback interface."""
    places = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
    installed = next(place for place in places if place.is_dir())
    loads = [
        f"LoadModule {name}_module {installed}/mod_{name}.so"
        for name in ["mpm_event", "authz_core", "proxy", *modules]
        if (installed / f"mod_{name}.so").exists()  # else it is built in
    ]
    config = folder / "apache.conf"
    config.write_text(
        "\n".join(
            [
                f"ServerRoot {folder}",
                f"DefaultRuntimeDir {folder}",
                f"PidFile {folder}/apache.pid",
                "ErrorLog /dev/stderr",
                *loads,
                *(["User nobody", "Group nogroup"] if ROOT else []),
                f"Listen 127.0.0.1:{port}",
                f"ServerName {NAME}",
                f"Include {site}",
                "",
            ]
        )
    )
    return [program("apache2", "httpd"), "-DFOREGROUND", "-f", str(config)]
