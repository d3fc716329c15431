"""OpenStackClient and a service without Keystone."""

from __future__ import annotations

import os

import pytest

from factstore.client import Stack, connect
from tests.http import fresh_stack
from tests.osc.shell import Shell
from tests.service import ApiServer


@pytest.fixture(autouse=True)
def no_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the clouds of the machine."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/nonexistent/clouds.yaml")


@pytest.fixture
def openstack(one_worker: ApiServer) -> Shell:
    """The command ``openstack`` for the service."""
    return Shell("--os-auth-type", "none", "--os-endpoint", one_worker.url)


@pytest.fixture
def stack(one_worker: ApiServer) -> Stack:
    """A stack that does not exist yet."""
    return connect(one_worker.url).stack(fresh_stack())
