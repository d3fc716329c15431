"""A private etcd on the loopback interface, version 3.4 or newer."""

from __future__ import annotations

import os
import shutil
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.private_file import private_directory
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import READY_SECONDS, Child, ChildError, Pause


class EtcdMissing(ChildError):
    """No etcd program was found."""


def find_etcd() -> str:
    """Return the etcd program: ``FACTSTORE_ETCD`` or the one in PATH. Raises EtcdMissing."""
    wanted = os.environ.get("FACTSTORE_ETCD")
    found = shutil.which(wanted or "etcd")
    if found is None:
        where = f"FACTSTORE_ETCD={wanted}" if wanted else "PATH"
        raise EtcdMissing(
            f"no etcd program in {where}: install it (Debian and Ubuntu: apt install etcd-server)"
        )
    return found


@dataclass(frozen=True)
class EtcdTls:
    """Certificates for the client port and for a probe of it."""

    cert: Path
    key: Path
    ca: Path
    client_cert_auth: bool = False
    probe_cert: Path | None = None
    probe_key: Path | None = None

    def flags(self) -> list[str]:
        flags = ["--cert-file", str(self.cert), "--key-file", str(self.key)]
        flags += ["--trusted-ca-file", str(self.ca)]
        return [*flags, "--client-cert-auth=true"] if self.client_cert_auth else flags

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.probe_cert is not None:
            context.load_cert_chain(self.probe_cert, self.probe_key)
        return context


class EtcdServer:
    """One etcd member. It keeps its data and ports across :meth:`restart` and after a kill.

    The methods return at once; only :meth:`wait_ready` and :meth:`restart` wait until etcd is ready.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        client_port: int | None = None,
        peer_port: int | None = None,
        binary: str | None = None,
        extra_args: Sequence[str] = (),
        log_path: Path | None = None,
        tls: EtcdTls | None = None,
        name: str = "factstore",
        peers: Mapping[str, str] | None = None,
    ) -> None:
        """``peers`` maps the name of each member to its peer URL; None is a cluster of one member.

        Raises EtcdMissing.
        """
        self.data_dir = data_dir
        self.log_path = log_path or data_dir.with_name(f"{data_dir.name}.log")
        self.name = name
        self.client_port = client_port or free_port()
        self.peer_port = peer_port or free_port()
        self.child = Child(f"etcd {name}" if peers else "etcd")
        self._binary = binary or find_etcd()
        self._extra_args = list(extra_args)
        self._tls = tls
        self._peers = dict(peers or {name: self.peer_url})
        self._probe = Probe(self.endpoint, tls.context() if tls else None)

    @property
    def endpoint(self) -> str:
        """The client URL."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"http://{LOOPBACK}:{self.peer_port}"

    def start(self, *, joins: bool = False) -> None:
        """Start etcd and return at once. Raises ChildError.

        ``joins`` is for a member without data of a cluster that exists.
        """
        private_directory(self.data_dir)  # etcd insists on 0700
        argv = self._argv("existing" if joins else "new")
        self.child.start(argv, log_path=self.log_path, env=_environment())

    def wait_ready(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> None:
        """Wait until etcd answers a read that needs a quorum. Raises ChildError."""
        self.child.wait_until(self.healthy, deadline, pause)

    def healthy(self) -> bool:
        """Return True if etcd serves linearizable reads."""
        try:
            # etcd 3.4 returns {"health": "true"}; other versions may return true.
            answer = self._probe.json("/health")
        except (OSError, ValueError):
            return False
        return str(answer.get("health")).lower() == "true"

    def kill(self) -> None:
        """Send SIGKILL to etcd. Its data is kept."""
        self.child.kill()

    def pause(self) -> None:
        """Freeze etcd: connections stay open without responses."""
        self.child.pause()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self.child.resume()

    def stop(self, deadline: float = 5.0) -> None:
        """Stop etcd; after ``deadline`` seconds, kill it."""
        self.child.terminate(deadline)

    def restart(self, deadline: float = READY_SECONDS) -> None:
        """Restart etcd with the same data and ports, and wait for it. Raises ChildError."""
        self.stop()
        self.start()
        self.wait_ready(deadline)

    def wipe(self) -> None:
        """Delete the data of etcd. Raises ChildError while it runs."""
        if self.child.running:
            raise ChildError(f"{self.child.name} is running: stop it before wiping its data")
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def version(self) -> str:
        """Return the version of etcd, such as ``3.4.23``. Raises OSError, ValueError."""
        return str(self._probe.json("/version")["etcdserver"])

    def status(self) -> dict[str, Any]:
        """Return etcd's maintenance status from the JSON gateway. Raises OSError, ValueError."""
        answer: dict[str, Any] = self._probe.json("/v3/maintenance/status", {})
        return answer

    def _argv(self, state: str) -> list[str]:
        peers = ",".join(f"{name}={url}" for name, url in self._peers.items())
        return [
            self._binary,
            *("--name", self.name),
            *("--data-dir", str(self.data_dir)),
            *("--listen-client-urls", self.endpoint),
            *("--advertise-client-urls", self.endpoint),
            *("--listen-peer-urls", self.peer_url),
            *("--initial-advertise-peer-urls", self.peer_url),
            *("--initial-cluster", peers),
            *("--initial-cluster-state", state),
            # 3.4 defaults to the older logger; newer versions support only zap.
            *("--logger", "zap"),
            *("--log-outputs", "stderr"),
            *(self._tls.flags() if self._tls else ()),
            *self._extra_args,
        ]


def _environment() -> dict[str, str]:
    """Return the environment without etcd's settings, which are for another etcd on this machine."""
    kept = {"ETCD_UNSUPPORTED_ARCH"}  # 3.4 does not start on arm64 without it
    env = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
    return env | {key: os.environ[key] for key in kept & os.environ.keys()}
