"""A service for agents, and instances that have one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factstore.client import Stack, connect
from factstore.cmd.processes.etcd import EtcdServer
from tests.agent.instance import Instance
from tests.http import fresh_stack
from tests.service import ApiServer, check_log

Make = Callable[..., Instance]


@pytest.fixture(scope="module")
def api(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service that nobody harms."""
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api"), workers=2) as server:
        yield server
        check_log(server)


@pytest.fixture
def stack(api: ApiServer) -> Stack:
    """A stack that does not exist yet."""
    return stack_of(api)


def stack_of(api: ApiServer) -> Stack:
    """A stack of a service, as an owner sees it."""
    return connect({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": api.url}).stack(fresh_stack())


@pytest.fixture
def make(api: ApiServer, stack: Stack, tmp_path: Path) -> Iterator[Make]:
    """Makes instances of the stack; their agents end with the test, and none broke inside."""
    made: list[Instance] = []

    def instance(name: str, more: str = "", **options: object) -> Instance:
        place = options.pop("place", name)
        options.setdefault("url", api.url)
        found = Instance(tmp_path / str(place), stack=stack.name, name=name, more=more, **options)  # type: ignore[arg-type]
        made.append(found)
        return found

    yield instance
    for each in made:
        each.kill()
    for each in made:
        assert "Traceback" not in each.log, each.log
        assert "fault of the agent" not in each.log, each.log
