"""A service for the examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.service import ApiServer


@pytest.fixture(scope="module")
def api(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API with two workers, so that no example depends on reaching the same one again."""
    state = tmp_path_factory.mktemp("api")
    with ApiServer([etcd.endpoint], state, workers=2) as server:
        yield server


@pytest.fixture
def environ(api: ApiServer) -> dict[str, str]:
    """Return the environment variables for the service."""
    return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": api.url}
