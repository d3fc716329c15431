"""A Heat with factstore's resources, beside a factstore that asks the same Keystone who calls."""

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
    warnings.simplefilter("ignore")  # what Heat's libraries regret as they are imported is theirs
    from oslo_service import backend

    backend.init_backend(backend.BackendType.THREADING)
    import heat.engine.stack

RESOURCES = Path(factstore.__file__).parent / "heat" / "plugins"


@pytest.fixture(scope="session")
def service(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """factstore, which Keystone's catalogue names."""
    with ApiServer(
        [etcd.endpoint],
        tmp_path_factory.mktemp("api"),
        auth="keystone",
        keystone=keystone,
        options={"keystone_authtoken": {"token_cache_time": 2}},
    ) as server:
        keystone.accounts.provision(server.url)
        yield server
        check_log(server)


@pytest.fixture(scope="session")
def heat(
    service: ApiServer,
    keystone: KeystoneServer,
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[HeatServer]:
    """One Heat, with its older engine, for all tests that leave it running."""
    database.create("legacy")
    server = HeatServer(
        tmp_path_factory.mktemp("heat"),
        keystone,
        plugin_dirs=[RESOURCES],
        database=database.url("legacy"),
    )
    with serving(server):
        yield server


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A MariaDB: SQLite is locked now and then when several threads read and write, and convergence is
    not sound on it.
    """
    server = DatabaseServer(tmp_path_factory.mktemp("mariadb"))
    with serving(server):
        yield server


@pytest.fixture(scope="session")
def convergent(
    service: ApiServer,
    keystone: KeystoneServer,
    database: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[HeatServer]:
    """One Heat as it comes: with the convergence engine. It takes a second for each step."""
    database.create("heat")
    server = HeatServer(
        tmp_path_factory.mktemp("convergent"),
        keystone,
        plugin_dirs=[RESOURCES],
        convergence=True,
        database=database.url("heat"),
    )
    with serving(server):
        yield server


@pytest.fixture(scope="session", params=["legacy", "convergent"])
def engine(request: pytest.FixtureRequest) -> HeatServer:
    """Either Heat, for what is to hold with both engines."""
    found: HeatServer = request.getfixturevalue(
        "heat" if request.param == "legacy" else "convergent"
    )
    return found


@pytest.fixture
def user(engine: HeatServer, keystone: KeystoneServer) -> Iterator[Orchestration]:
    """As `owner`, with either engine."""
    user = Orchestration(keystone.accounts.session("owner"), engine.url)
    yield user
    user.clean()


@pytest.fixture
def owner(heat: HeatServer, keystone: KeystoneServer) -> Iterator[Orchestration]:
    """What a user who may have stacks does with Heat; they are deleted in the end."""
    user = Orchestration(keystone.accounts.session("owner"), heat.url)
    yield user
    user.clean()


@pytest.fixture
def facts(service: ApiServer, keystone: KeystoneServer) -> Client:
    """The same user's facts."""
    return Client(keystone.accounts.session("owner"), endpoint_override=service.url)


@pytest.fixture
def catalogue(service: ApiServer, keystone: KeystoneServer) -> Iterator[Catalogue]:
    """What Keystone says of factstore, which is as it was afterwards."""
    changed = Catalogue(keystone.accounts)
    yield changed
    changed.restore()


@pytest.fixture
def name() -> str:
    """The name of a stack that does not exist yet."""
    return f"stack-{uuid.uuid4().hex[:8]}"
