"""What is measured: a fresh etcd and one worker of the production command."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from factstore.cmd.children.api import ApiProcess, write_options
from factstore.cmd.children.etcd import EtcdServer
from factstore.cmd.children.ports import LOOPBACK, free_port

STACKS = 100
FACTS = 10


class Lab:
    """Both processes, with 100 stacks of 10 facts, for as long as the context lasts."""

    def __init__(self, state: Path) -> None:
        self.cores = os.cpu_count() or 1
        self.etcd = EtcdServer(state / "etcd", log_path=state / "etcd.log")
        self._config = state / "factstore.conf"
        port = free_port()
        self._options = {
            "DEFAULT": {"auth_strategy": "none"},
            "api": {"host": LOOPBACK, "port": port},
            "limits": {"requests_per_second": -1},
        }
        self._api = ApiProcess(self._config, port, state / "api.log")

    @property
    def url(self) -> str:
        """The service's root."""
        return self._api.url

    @property
    def worker(self) -> int:
        """The worker's process id."""
        return self._api.workers()[0]

    def __enter__(self) -> Self:
        self.etcd.start()
        self.etcd.wait_ready()
        write_options(self._config, {**self._options, "etcd": {"endpoints": self.etcd.endpoint}})
        self._api.start()
        self._api.wait_ready()
        session = requests.Session()
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
        self.etcd.stop()


def cpu_microseconds(pid: int) -> int:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """Memory that a process holds at the moment."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
