"""A service for agents, and instances that run one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factstore.client import Stack, connect
from tests.agent.instance import Instance
from tests.http import fresh_stack
from tests.service import ApiServer

Make = Callable[..., Instance]


@pytest.fixture
def api(two_workers: ApiServer) -> ApiServer:
    """A service that no test stops."""
    return two_workers


@pytest.fixture
def stack(api: ApiServer) -> Stack:
    """A stack that does not exist yet."""
    return stack_of(api)


def stack_of(api: ApiServer) -> Stack:
    """Return a stack of a service with the rights of an owner."""
    return connect({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": api.url}).stack(fresh_stack())


@pytest.fixture
def make(api: ApiServer, stack: Stack, tmp_path: Path) -> Iterator[Make]:
    """Create instances of the stack; check that no agent had an internal error."""
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
        assert "internal error of the agent" not in each.log, each.log
