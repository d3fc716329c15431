"""Servers that tests share, started and stopped here."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.forked_child import ForkedChild
from tests.scheduling import ByServers
from tests.service import UNDISTURBED, ApiServer, check_log

pytest_plugins = ["tests.reruns"]

# An example may take long while other tests run. Each run of the same source code has the same
# examples, so a change makes it fail and not chance; FACTSTORE_EXAMPLES=random looks for new ones.
_BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", _BUSY, max_examples=50, derandomize=True)
settings.register_profile("random", _BUSY, max_examples=500, print_blob=True)
settings.load_profile(os.environ.get("FACTSTORE_EXAMPLES", "fixed"))

# A background job of a shell ignores Ctrl-C, and so would all programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Most tests do not need the API's address, but its type must be in the catalogue.
_ENDPOINT = "http://127.0.0.1:8796"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests without garbage collections, of which nearly nothing is garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Replace the order of ``--dist loadscope``; pytest-xdist has the others."""
    return ByServers(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """An etcd for all tests that do not disturb it and are independent of other keys."""
    for server in serving_etcd(tmp_path_factory.mktemp("etcd") / "data"):
        UNDISTURBED.add(server.endpoint)
        yield server


@pytest.fixture
def private_etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """An empty etcd for one test, which may kill, pause and wipe it."""
    yield from serving_etcd(tmp_path / "etcd")


@pytest.fixture(scope="session")
def one_worker(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service of one process, for tests that leave it running."""
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api")) as server:
        yield server
        check_log(server)


@pytest.fixture(scope="session")
def two_workers(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service of two processes, on the same etcd."""
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api"), workers=2) as server:
        yield server
        check_log(server)


@pytest.fixture(scope="session")
def keystone_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a Keystone with all personas, to be copied, because making one takes seconds.

    All processes of a run share it; who needs it first makes it.
    """
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    golden, prepared = common / "keystone-golden", common / "keystone-golden.prepared"
    with (common / "keystone-golden.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not prepared.exists():
            server = KeystoneServer(golden, make_child=ForkedChild)
            server.prepare()
            with _running(server):
                server.accounts.provision(_ENDPOINT)
            prepared.touch()
    return golden


@pytest.fixture(scope="session")
def keystone(
    keystone_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeystoneServer]:
    """A Keystone with all personas, for tests that change neither."""
    yield from serving_keystone(keystone_state, tmp_path_factory.mktemp("keystone") / "shared")


@pytest.fixture
def private_keystone(keystone_state: Path, tmp_path: Path) -> Iterator[KeystoneServer]:
    """A Keystone with all personas for one test, which may kill and pause it."""
    yield from serving_keystone(keystone_state, tmp_path / "keystone")


def serving_etcd(data_dir: Path, *extra_args: str) -> Iterator[EtcdServer]:
    server = EtcdServer(data_dir, extra_args=extra_args)
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.kill()  # nobody needs its data, and a clean end takes longer


def serving_keystone(
    golden: Path, state_dir: Path, token_expiration: int = 3600
) -> Iterator[KeystoneServer]:
    """Yield a Keystone that works in a copy of a prepared directory, and kill it at the end."""
    shutil.copytree(golden, state_dir, ignore=shutil.ignore_patterns("port", "*.log"))
    server = KeystoneServer(state_dir, token_expiration=token_expiration, make_child=ForkedChild)
    server.prepare()
    with _running(server):
        server.accounts.publish(_ENDPOINT)
        yield server


@contextmanager
def _running(server: KeystoneServer) -> Iterator[None]:
    try:
        server.start()
        server.wait_ready(90)  # other tests keep the machine busy
        yield
    finally:
        server.kill()
