"""Servers with threads, as the installation guide describes them."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.wsgi.concurrency import blocking
from tests.docs.pages import code
from tests.eventually import eventually
from tests.functional.test_members import heartbeat, join
from tests.http import Caller, fresh_stack, refused
from tests.saturation import saturated
from tests.service import ApiServer, check_log

THREADS = 8
APPLICATION = "factstore.wsgi.api:application"


def uwsgi(folder: Path, port: int) -> list[str]:
    """Return the command for the guide's configuration."""
    (ini,) = [block for block in code("install/index.rst", "ini") if "[uwsgi]" in block]
    for old, new in {
        "processes = 4": "processes = 1",
        "threads = 64": f"threads = {THREADS}",
        "env = OS_FACTSTORE_CONFIG_FILES=/etc/factstore/factstore.conf\n": "",
        "127.0.0.1:8796": f"127.0.0.1:{port}",
    }.items():
        assert old in ini
        ini = ini.replace(old, new)
    file = folder / "uwsgi.ini"
    file.write_text(ini)
    program = shutil.which("uwsgi")
    assert program is not None
    return [program, "--ini", str(file)]


def waitress(folder: Path, port: int) -> list[str]:
    listen = f"--listen=127.0.0.1:{port}"
    return [sys.executable, "-m", "waitress", listen, f"--threads={THREADS}", APPLICATION]


def gunicorn(kind: str, *more: str) -> Callable[[Path, int], list[str]]:
    """Return a function that returns the command for one of gunicorn's own workers."""

    def command(folder: Path, port: int) -> list[str]:
        start = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}"]
        return [*start, f"--worker-class={kind}", *more, APPLICATION]

    return command


SERVERS: dict[str, tuple[Callable[[Path, int], list[str]], int]] = {
    "uwsgi": (uwsgi, 0),  # which reports its threads
    "waitress": (waitress, THREADS),
    "gthread": (gunicorn("gthread", f"--threads={THREADS}"), THREADS),
    "gevent": (gunicorn("gevent", f"--worker-connections={THREADS}"), THREADS),
}


@pytest.mark.parametrize("name", SERVERS)
def test_clients_that_wait_leave_room_for_heartbeats_and_writes(
    etcd: EtcdServer, tmp_path: Path, name: str
) -> None:
    port, stack = free_port(), f"/v1/stacks/{fresh_stack()}"
    command, threads = SERVERS[name]
    argv = command(tmp_path, port)
    options = {"api": {"threads": threads}}
    service = ApiServer([etcd.endpoint], tmp_path, options=options, argv=argv, port=port)
    with service, saturated(service.url, stack) as admitted, Caller(service.url) as api:
        assert admitted == blocking(THREADS)
        join(api, stack)
        heartbeat(api, stack)
        api.put(f"{stack}/facts/a", 1).raise_for_status()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (waitress, "until [api] threads is set"),
        (gunicorn("sync"), "serves 1 request at a time in each process"),
    ],
)
def test_a_server_that_heartbeats_would_wait_for_serves_no_request_that_waits_and_logs_why(
    etcd: EtcdServer,
    tmp_path: Path,
    command: Callable[[Path, int], list[str]],
    reason: str,
) -> None:
    port, stack = free_port(), f"/v1/stacks/{fresh_stack()}"
    argv = command(tmp_path, port)
    with (
        ApiServer([etcd.endpoint], tmp_path, argv=argv, port=port) as service,
        Caller(service.url) as api,
    ):
        api.put(f"{stack}/facts/a", 1).raise_for_status()
        refused(api.get(f"{stack}/facts/b?wait=1"), "503 worker_busy")
        answer = api.get(f"{stack}/events", headers={"Accept": "text/event-stream"})
        refused(answer, "503 worker_busy")
        assert reason in service.log_path.read_text()


def test_processes_that_were_forked_after_the_application_was_loaded_share_no_connection(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    processes, clients = 4, 32
    argv = gunicorn("gthread", "--preload", f"--workers={processes}", "--threads=64")
    port, stack = free_port(), f"/v1/stacks/{fresh_stack()}"
    options = {"api": {"threads": 64}}
    command = argv(tmp_path, port)
    with ApiServer([etcd.endpoint], tmp_path, options=options, argv=command, port=port) as service:

        def write(client: int) -> None:
            with Caller(service.url) as api:
                for n in range(5):
                    path = f"{stack}/facts/{client}/{n}"
                    api.put(path, n).raise_for_status()
                    assert api.get(path).json()["value"] == n

        def connections() -> list[set[str]]:
            """Return the connections to etcd of each process that has some."""
            found = [
                sockets_to(urlsplit(etcd.endpoint).port or 0, pid) for pid in service.workers()
            ]
            return [each for each in found if each]

        def all_serve() -> bool:
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(write, range(clients)))
            return len(connections()) == processes

        eventually(all_serve)
        for one, other in itertools.combinations(connections(), 2):
            assert not one & other
        with Caller(service.url) as api:
            assert len(api.get(f"{stack}/facts?limit=1000").json()["facts"]) == clients * 5
            check_log(service)


def sockets_to(port: int, pid: int) -> set[str]:
    """Return the sockets of a process that are connected to a port."""
    lines = [Path(f"/proc/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
    fields = [line.split() for line in itertools.chain(*lines)]
    connected = {f"socket:[{each[9]}]" for each in fields if each[2].endswith(f":{port:04X}")}
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(each.readlink()))
    return found & connected
