"""A Heat with factstore's resources, and a factstore that uses the same Keystone."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import factstore
from factstore.client import Client
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.heat.lab.catalogue import Catalogue
from tests.heat.lab.database import DatabaseServer
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.server import HeatServer
from tests.heat.lab.serving import serving
from tests.service import ApiServer, check_log

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Heat's libraries emit warnings when they are imported
    from oslo_service import backend

    backend.init_backend(backend.BackendType.THREADING)
    import heat.engine.stack

RESOURCES = Path(factstore.__file__).parent / "heat" / "plugins"
PAUSE = 0.3  # seconds between two steps of a task in Heat, so that tests do not wait for them
NOTIFIED = "notified-"
"""The beginning of the names of stacks about which factstore is notified.

For the others, a test of the event sink tests the sink alone.
"""
_NOTIFYING = {"oslo_messaging_notifications": {"driver": "factstore"}}


@pytest.fixture(scope="session")
def service(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """A factstore that Keystone's catalog names."""
    with ApiServer(
        [etcd.endpoint],
        tmp_path_factory.mktemp("api"),
        auth="keystone",
        keystone=keystone,
        options={"keystone_authtoken": {"token_cache_time": 10}},
    ) as server:
        keystone.accounts.provision(server.url)
        yield server
        check_log(server)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A MariaDB: on SQLite the convergence engine hangs at times, and concurrent writes fail."""
    server = DatabaseServer(tmp_path_factory.mktemp("mariadb"))
    with serving(server):
        yield server


@pytest.fixture(scope="session")
def heat(
    service: ApiServer,
    keystone: KeystoneServer,
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[HeatServer]:
    """A Heat with the convergence engine, its default, shared by all tests that do not stop it."""
    database.create("heat")
    server = HeatServer(
        tmp_path_factory.mktemp("heat"),
        keystone,
        plugin_dirs=[RESOURCES],
        convergence=True,
        database=database.url("heat"),
        options=_NOTIFYING,
        pause=PAUSE,
        notify_prefix=NOTIFIED,
    )
    with serving(server):
        yield server


@pytest.fixture(scope="session")
def legacy(
    service: ApiServer,
    keystone: KeystoneServer,
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[HeatServer]:
    """A Heat with the legacy engine, which logs at debug level."""
    database.create("legacy")
    server = HeatServer(
        tmp_path_factory.mktemp("legacy"),
        keystone,
        plugin_dirs=[RESOURCES],
        database=database.url("legacy"),
        options={**_NOTIFYING, "DEFAULT": {"debug": "true"}},
        pause=PAUSE,
        notify_prefix=NOTIFIED,
    )
    with serving(server):
        yield server


@pytest.fixture(scope="session", params=["heat", "legacy"])
def engine(request: pytest.FixtureRequest) -> HeatServer:
    """A Heat with either engine, for tests of members."""
    found: HeatServer = request.getfixturevalue(request.param)
    return found


def owning(
    request: pytest.FixtureRequest, heat: HeatServer, keystone: KeystoneServer
) -> Iterator[Orchestration]:
    """Yield an owner of stacks, which are deleted at the end.

    That takes as long as most tests. Modules with ``LEAVES_STACKS`` leave them: their stacks have
    no servers and nothing that still waits, and end with their Heat.
    """
    user = Orchestration(keystone.accounts.session("owner"), heat.url)
    yield user
    if not getattr(request.module, "LEAVES_STACKS", False):
        user.clean()


@pytest.fixture
def user(
    request: pytest.FixtureRequest, engine: HeatServer, keystone: KeystoneServer
) -> Iterator[Orchestration]:
    """An owner of stacks on each engine."""
    yield from owning(request, engine, keystone)


@pytest.fixture
def owner(
    request: pytest.FixtureRequest, heat: HeatServer, keystone: KeystoneServer
) -> Iterator[Orchestration]:
    """An owner of stacks on the convergence engine."""
    yield from owning(request, heat, keystone)


@pytest.fixture
def legacy_owner(
    request: pytest.FixtureRequest, legacy: HeatServer, keystone: KeystoneServer
) -> Iterator[Orchestration]:
    """An owner of stacks on the legacy engine."""
    assert "legacy" in request.node.nodeid, "name the engine: tests/scheduling.py goes by that"
    yield from owning(request, legacy, keystone)


@pytest.fixture
def facts(service: ApiServer, keystone: KeystoneServer) -> Client:
    """The client of the same user."""
    return Client(keystone.accounts.session("owner"), endpoint_override=service.url)


@pytest.fixture
def catalogue(service: ApiServer, keystone: KeystoneServer) -> Iterator[Catalogue]:
    """The catalogue's entry of factstore, which is restored afterwards."""
    changed = Catalogue(keystone.accounts)
    yield changed
    changed.restore()


@pytest.fixture
def name() -> str:
    """The name of a stack that does not exist yet."""
    return f"stack-{uuid.uuid4().hex[:8]}"
