"""A service that asks a real Keystone who calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, fresh_stack
from tests.service import ApiServer, check_log

CACHE_SECONDS = 2
AUTHTOKEN = {"keystone_authtoken": {"token_cache_time": CACHE_SECONDS}}
TALKATIVE = {"DEFAULT": {"debug": "true"}}

Login = Callable[[str], Caller]


def with_token(server: ApiServer, token: str) -> Caller:
    """A client that sends this token."""
    return Caller(server.url, {"X-Auth-Token": token})


@pytest.fixture(scope="session")
def server(
    etcd: EtcdServer,
    keystone: KeystoneServer,
    tokens: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ApiServer]:
    """One for all tests that leave Keystone running."""
    with ApiServer(
        [etcd.endpoint],
        tmp_path_factory.mktemp("api"),
        workers=2,
        auth="keystone",
        keystone=keystone,
        options={**AUTHTOKEN, **TALKATIVE},
    ) as service:
        yield service
        check_log(service, *tokens.values(), keystone.accounts.password("service"))


@pytest.fixture
def anonymous(server: ApiServer) -> Iterator[Caller]:
    """A client without a token."""
    with Caller(server.url) as caller:
        yield caller


@pytest.fixture(scope="session")
def tokens(keystone: KeystoneServer) -> dict[str, str]:
    """Return a token for each persona; a revoked one is replaced."""
    return {
        name: keystone.accounts.issue(name) for name in ("owner", "reader", "outsider", "admin")
    }


@pytest.fixture
def login(server: ApiServer, tokens: dict[str, str]) -> Iterator[Login]:
    """Makes a client that acts as a persona."""
    made: list[Caller] = []

    def as_persona(persona: str) -> Caller:
        made.append(with_token(server, tokens[persona]))
        return made[-1]

    yield as_persona
    for caller in made:
        caller.close()


@pytest.fixture
def stack() -> str:
    """The path of a stack that does not exist yet."""
    return f"/v1/stacks/{fresh_stack()}"
