"""Shared parts of the fault tests: their size, and servers that may be disturbed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.etcd_cluster import EtcdCluster
from tests.service import ApiServer

QUICK_ETCD = ("--heartbeat-interval", "20", "--election-timeout", "200")
"""A single member that comes back in a fraction of a second."""

in_the_gate = pytest.mark.skipif(
    "FACTSTORE_FAULTS" not in os.environ, reason="the gate causes the same faults; see make faults"
)
"""Marks tests that only ``make faults`` runs, because ``make test`` runs the gate."""

StartApi = Callable[..., ApiServer]


@pytest.fixture(scope="session")
def scale() -> int:
    """Return the factor for the size of the tests; ``FACTSTORE_FAULTS=full`` means 10."""
    wanted = os.environ.get("FACTSTORE_FAULTS", "1")
    return 10 if wanted == "full" else int(wanted)


@pytest.fixture
def seed() -> int:
    """Of all random choices; shown when the test fails.  ``FACTSTORE_FAULTS_SEED`` repeats one."""
    chosen = int(os.environ.get("FACTSTORE_FAULTS_SEED") or random.randrange(10**6))
    print(f"FACTSTORE_FAULTS_SEED={chosen}")
    return chosen


@pytest.fixture
def etcd_server(tmp_path: Path) -> Iterator[EtcdServer]:
    """An empty etcd that a test may kill, pause and wipe."""
    server = EtcdServer(tmp_path / "etcd", extra_args=QUICK_ETCD)
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EtcdCluster]:
    """Three members that a test may kill and freeze."""
    found = EtcdCluster(tmp_path / "etcd")
    (tmp_path / "etcd").mkdir()
    try:
        found.start()
        found.wait_ready()
        yield found
    finally:
        found.stop()


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[StartApi]:
    """A function that starts an API server, which is killed after the test."""
    with ExitStack() as started:

        def start(endpoints: list[str], **options: object) -> ApiServer:
            name = f"api-{len(list(tmp_path.glob('api-*')))}"
            server = ApiServer(endpoints, tmp_path / name, **options)
            started.callback(server.kill)
            server.start()
            return server

        yield start


@pytest.fixture(autouse=True)
def _no_internal_errors(tmp_path: Path) -> Iterator[None]:
    """Whatever breaks, the service must not be surprised: no traceback in its logs."""
    yield
    for log in tmp_path.glob("api-*/api.log"):
        text = log.read_text(errors="replace")
        at = text.find("Traceback")
        assert at < 0, f"{log}: {text[max(0, at - 500) : at + 3000]}"
