"""The processes under test: a new etcd and one worker of the production command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from factstore.cmd.processes.api import ApiProcess, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import LOOPBACK, free_port

STACKS = 100
FACTS = 10


class Lab:
    """Context manager for the processes, with 100 stacks of 10 facts.

    :param keystone: require tokens of a lab Keystone; :attr:`token` is the owner's.
    :param limits: options of ``[limits]``; by default there is no rate limit.
    """

    def __init__(
        self, state: Path, *, keystone: bool = False, limits: Mapping[str, int] | None = None
    ) -> None:
        self.cores = os.cpu_count() or 1
        self.token = ""
        self.etcd = EtcdServer(state / "etcd", log_path=state / "etcd.log")
        self.keystone = KeystoneServer(state / "keystone") if keystone else None
        self._config = state / "factstore.conf"
        port = free_port()
        self._options: dict[str, dict[str, str | int]] = {
            "DEFAULT": {"auth_strategy": "keystone" if keystone else "none"},
            "api": {"host": LOOPBACK, "port": port},
            "limits": {"requests_per_second": -1} if limits is None else dict(limits),
        }
        self._api = ApiProcess(self._config, port, state / "api.log")

    @property
    def url(self) -> str:
        """The root URL of the service."""
        return self._api.url

    @property
    def worker(self) -> int:
        """The worker's process id."""
        return self._api.workers()[0]

    @property
    def etcd_pid(self) -> int:
        """etcd's process id."""
        pid = self.etcd.child.pid
        assert pid is not None
        return pid

    def session(self) -> requests.Session:
        """Return a session of the owner with persistent connections."""
        made = requests.Session()
        made.trust_env = False
        if self.token:
            made.headers["X-Auth-Token"] = self.token
        return made

    def __enter__(self) -> Self:
        self.etcd.start()
        self._options["etcd"] = {"endpoints": self.etcd.endpoint}
        if self.keystone is not None:
            self.keystone.prepare()
            self.keystone.start()
            self.keystone.wait_ready()
            self.keystone.accounts.provision(self.url)
            self.token = self.keystone.accounts.issue("owner")
            self._options["keystone_authtoken"] = {**self.keystone.accounts.authtoken_options()}
        self.etcd.wait_ready()
        write_options(self._config, self._options)
        self._api.start()
        self._api.wait_ready()
        session = self.session()
        for stack in range(STACKS):
            operations = [
                {"put": {"path": f"nodes/n{fact}/ip", "value": f"10.0.{stack}.{fact}"}}
                for fact in range(FACTS)
            ]
            session.post(
                f"{self.url}/v1/stacks/s{stack}/batch", json={"operations": operations}, timeout=10
            ).raise_for_status()
        session.put(f"{self.url}/v1/stacks/watched", json={}, timeout=10).raise_for_status()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api.stop()
        if self.keystone is not None:
            self.keystone.kill()
        self.etcd.stop()


def cpu_microseconds(pid: int) -> int:
    """Return the user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """Return the current memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
