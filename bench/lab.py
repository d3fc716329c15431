"""The processes under test: a new etcd and workers of the production command."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import requests

from bench.caller import Caller
from bench.gateway import Gateway
from factstore.cmd.processes.api import ApiProcess, Options, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import LOOPBACK, free_port

STACKS = 100
FACTS = 10
BATCH = 100
COMMIT_SECONDS, LEASE_SECONDS = 0.15, 5
PATIENCE = 120.0  # seconds for a process to be ready, on a machine that is busy
NO_LIMITS = dict.fromkeys(
    (
        "stacks",
        "facts",
        "bytes",
        "facts_per_stack",
        "bytes_per_stack",
        "streams",
        "streams_per_stack",
        "subscriptions",
        "waiting_requests",
        "requests_per_second",
    ),
    -1,
)
# Room for values of 64 KiB; the default of 2 GiB would be full.
ETCD_ARGUMENTS = ("--quota-backend-bytes", str(8 << 30))


class Lab:
    """Context manager for the processes, with 100 stacks of 10 facts.

    :param keystone: require its tokens; :attr:`token` is the owner's.
    :param limits: options of ``[limits]``; by default there are no limits.
    :param workers: number of the service's workers.
    :param members: number of etcd's members.
    :param options: further sections of the configuration.
    :ivar state: directory of its files, which is deleted at the end.
    """

    def __init__(
        self,
        *,
        keystone: KeystoneServer | None = None,
        limits: Mapping[str, int] | None = None,
        workers: int = 1,
        members: int = 1,
        options: Options | None = None,
    ) -> None:
        self.token = ""
        self._directory = TemporaryDirectory(prefix="factstore-bench-")
        self.state = state = Path(self._directory.name)
        self.members = _members(state, members)
        self.etcd = self.members[0]
        self.keystone = keystone
        self.config = state / "factstore.conf"
        port = free_port()
        self._options: dict[str, dict[str, str | int]] = {
            "DEFAULT": {"auth_strategy": "keystone" if keystone else "none"},
            "api": {"host": LOOPBACK, "port": port, "workers": workers},
            "limits": dict(NO_LIMITS if limits is None else limits),
            **{name: dict(values) for name, values in (options or {}).items()},
        }
        self._api = ApiProcess(self.config, port, state / "api.log")

    @property
    def url(self) -> str:
        """The root URL of the service."""
        return self._api.url

    @property
    def worker(self) -> int:
        """The process id of the first worker."""
        return self.workers[0]

    @property
    def workers(self) -> list[int]:
        """The process ids of all workers."""
        return self._api.workers()

    @property
    def etcd_pid(self) -> int:
        """The process id of the first member of etcd."""
        return self.stores[0]

    @property
    def stores(self) -> list[int]:
        """The process ids of all members of etcd."""
        return [member.child.pid for member in self.members if member.child.pid is not None]

    def restart(self) -> float:
        """Restart the service; return the seconds from its start until it is ready."""
        self._api.stop()
        began = time.perf_counter()
        self._api.start()
        self._api.wait_ready(PATIENCE, pause=lambda _: time.sleep(0.01))
        return time.perf_counter() - began

    def forget_writes(self) -> None:
        """Let etcd release its buffer of recent writes, which each of its reads copies.

        etcd commits ten times a second, if anything was written.  Then it empties the buffer, but
        releases it only at a commit before which no key was written.  A lease is not a key.
        """
        gateway = Gateway(self.etcd.endpoint)
        time.sleep(COMMIT_SECONDS)
        gateway.grant(LEASE_SECONDS)
        time.sleep(COMMIT_SECONDS)

    def grants(self, member: str = "n0") -> list[dict[str, str]]:
        """Issue a grant for an agent in each stack; return the headers that present them."""
        issued = []
        with self.caller() as caller:
            for stack in range(STACKS):
                answer = caller.request("POST", f"/v1/stacks/s{stack}/grants", {"member": member})
                grant = answer.json()
                issued.append({"Authorization": f"Bearer {grant['id']}.{grant['secret']}"})
        return issued

    def fill(self, stack: str, facts: int, *, start: int = 0) -> None:
        """Write facts ``nodes/n<number>/ip`` into a stack, in batches."""
        with self.caller() as caller:
            for first in range(start, start + facts, BATCH):
                numbers = range(first, min(first + BATCH, start + facts))
                puts = [
                    {"put": {"path": f"nodes/n{n}/ip", "value": f"10.0.0.{n}"}} for n in numbers
                ]
                caller.request("POST", f"/v1/stacks/{stack}/batch", {"operations": puts})

    def caller(self) -> Caller:
        """Return a caller with the owner's token."""
        return Caller(self.url, {"X-Auth-Token": self.token} if self.token else {})

    def session(self) -> requests.Session:
        """Return a session of the owner with persistent connections."""
        made = requests.Session()
        made.trust_env = False
        if self.token:
            made.headers["X-Auth-Token"] = self.token
        return made

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        for member in self.members:
            member.start()
        self._options["etcd"] = {"endpoints": ",".join(each.endpoint for each in self.members)}
        if self.keystone is not None:
            self.keystone.accounts.provision(self.url)
            self.token = self.keystone.accounts.issue("owner")
            self._options["keystone_authtoken"] = {**self.keystone.accounts.authtoken_options()}
        for member in self.members:
            member.wait_ready(PATIENCE)
        write_options(self.config, self._options)
        self._api.start()
        self._api.wait_ready(PATIENCE)
        for stack in range(STACKS):
            self.fill(f"s{stack}", FACTS)
        with self.caller() as caller:
            caller.request("PUT", "/v1/stacks/watched", {})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api.stop()
        for member in self.members:
            member.kill()  # after SIGTERM, a leader would first look for a successor
        self._directory.cleanup()


def _members(state: Path, count: int) -> list[EtcdServer]:
    """Return the members of an etcd cluster."""
    ports = {f"m{number}": free_port() for number in range(count)}
    peers = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    return [
        EtcdServer(
            state / name,
            name=name,
            peer_port=port,
            peers=peers,
            extra_args=ETCD_ARGUMENTS,
            log_path=state / f"{name}.log",
        )
        for name, port in ports.items()
    ]


def cpu_microseconds(pid: int) -> int:
    """Return the user and system time of a process."""
    # The clock of a process, as clock_getcpuclockid(3) returns it, is exact; /proc counts in 10 ms.
    return time.clock_gettime_ns(~pid << 3 | 2) // 1000


def resident_kib(pid: int) -> int:
    """Return the current memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
