"""Whole services on real etcds, without authentication."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from factstore.cmd.children.etcd import EtcdServer
from tests.calling import Caller, fresh_stack
from tests.service import ApiServer, check_log


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


@pytest.fixture(params=["one_worker", "two_workers"])
def server(request: pytest.FixtureRequest) -> ApiServer:
    """The service; with two workers a client meets now the one, now the other."""
    found: ApiServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def api(server: ApiServer) -> Iterator[Caller]:
    """A client of the service."""
    with Caller(server.url) as caller:
        yield caller


@pytest.fixture
def stack() -> str:
    """The path of a stack that does not exist yet."""
    return f"/v1/stacks/{fresh_stack()}"
