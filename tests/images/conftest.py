"""A service for the containers, which share the network of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factstore.api.agent_files import OWN
from factstore.client import Stack, connect
from tests.http import fresh_stack
from tests.service import ApiServer
from tests.zipapp import build


@pytest.fixture(scope="session", autouse=True)
def agent() -> Path:
    """The agent's file of this source tree, in the place from which the service offers it."""
    assert os.geteuid() == 0, "containers need root: sudo make test-images"
    return build(OWN)


@pytest.fixture
def service(agent: Path, one_worker: ApiServer) -> ApiServer:
    """A service that offers the agent."""
    return one_worker


@pytest.fixture
def stack(service: ApiServer) -> Stack:
    """A stack that does not exist yet."""
    return connect(service.url).stack(fresh_stack())
