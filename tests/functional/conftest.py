"""Whole services on real etcds, without authentication."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.grants import Held, issue, issue_reader
from tests.http import Caller, fresh_stack
from tests.service import ApiServer


@pytest.fixture
def server(one_worker: ApiServer) -> ApiServer:
    """The service; a module whose promises concern several workers replaces it by ``two_workers``."""
    return one_worker


@pytest.fixture
def api(server: ApiServer) -> Iterator[Caller]:
    """A client of the service."""
    with Caller(server.url) as caller:
        yield caller


@pytest.fixture
def stack() -> str:
    """The path of a stack that does not exist yet."""
    return f"/v1/stacks/{fresh_stack()}"


SHOWN = {"nodes/c1/ip": 1, "nodes/c2/ip": 2, "shared": 3}
CONFIGS = {"configs/c1/a": "mine", "configs/c1x/a": "theirs", "configs/c2/a": "theirs"}


@pytest.fixture
def granted(api: Caller, stack: str) -> str:
    """A stack with facts of two members, and with what each of them is to do."""
    puts = [{"put": {"path": path, "value": value}} for path, value in (SHOWN | CONFIGS).items()]
    api.post(f"{stack}/batch", json={"operations": puts}).raise_for_status()
    return stack


@pytest.fixture
def grant(api: Caller, granted: str) -> Held:
    """One of that stack for c1's agent."""
    return issue(api, granted)


@pytest.fixture
def agent(api: Caller, grant: Held) -> Iterator[Caller]:
    """Its holder."""
    with grant.caller(api.url) as caller:
        yield caller


@pytest.fixture
def reader(api: Caller, granted: str) -> Iterator[Caller]:
    """A caller with a grant for a reader without a member."""
    with issue_reader(api, granted).caller(api.url) as caller:
        yield caller
