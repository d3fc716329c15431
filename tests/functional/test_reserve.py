"""However many clients wait, heartbeats and writes are answered."""

from __future__ import annotations

import resource
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from factstore.cmd.processes.api import API_ARGV
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.wsgi.concurrency import (
    LEAST_CONNECTIONS,
    OTHER_FILES,
    blocking,
    connections_within,
)
from tests.functional.test_members import heartbeat, join
from tests.http import Caller
from tests.raw_http import connect
from tests.saturation import saturated
from tests.service import ApiServer

CONNECTIONS = 16
THREADS = 8


@pytest.mark.parametrize("kind", ["bundled", "gthread"])
def test_clients_that_wait_leave_room_for_heartbeats_and_writes(
    etcd: EtcdServer, tmp_path: Path, stack: str, kind: str
) -> None:
    port = free_port()
    gthread = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}"]
    gthread += ["--worker-class=gthread", f"--threads={THREADS}"]
    service = ApiServer(
        [etcd.endpoint],
        tmp_path,
        port=port,
        options={"api": {"connections": CONNECTIONS, "threads": THREADS}},
        argv=API_ARGV if kind == "bundled" else [*gthread, "factstore.wsgi.api:application"],
    )
    with service, saturated(service.url, stack) as admitted, ExitStack() as idle:
        assert admitted == blocking(CONNECTIONS if kind == "bundled" else THREADS)
        if kind == "bundled":  # gthread gives a thread to a connection before its request arrives
            for _ in range(CONNECTIONS):
                idle.enter_context(connect(service.url))
        with Caller(service.url) as api:
            join(api, stack)
            heartbeat(api, stack)
            api.put(f"{stack}/facts/a", 1).raise_for_status()


def test_with_few_open_files_a_worker_has_fewer_connections_and_logs_the_limit(
    etcd: EtcdServer, tmp_path: Path, stack: str
) -> None:
    few = OTHER_FILES + CONNECTIONS
    service = ApiServer(
        [etcd.endpoint], tmp_path, argv=["prlimit", f"--nofile={few}:{few}", *API_ARGV]
    )
    with service, saturated(service.url, stack) as admitted, ExitStack() as idle:
        assert admitted == blocking(CONNECTIONS)
        for _ in range(CONNECTIONS):
            idle.enter_context(connect(service.url))
        with Caller(service.url) as api:
            join(api, stack)
            api.put(f"{stack}/facts/a", 1).raise_for_status()
        log = service.log_path.read_text()
        assert f"a process may open {few} files only: each worker serves {CONNECTIONS} " in log
        assert "Traceback" not in log


def test_a_worker_has_the_configured_connections_if_it_may_open_enough_files() -> None:
    assert connections_within(resource.RLIM_INFINITY, 20_000) == 20_000
    assert connections_within(20_000 + OTHER_FILES, 20_000) == 20_000
    assert connections_within(1024, 20_000) == 1024 - OTHER_FILES
    assert connections_within(30, 20_000) == LEAST_CONNECTIONS
