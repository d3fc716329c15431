"""A service that asks a real Keystone who calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, fresh_stack
from tests.keystone.policy_kinds import PERSONAS, STRANGERS
from tests.keystone.policy_stacks import expired, fill, remove, restricted
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


@pytest.fixture(scope="module")
def callers(
    keystone: KeystoneServer, server: ApiServer, tokens: dict[str, str]
) -> Iterator[dict[str, Caller]]:
    """A client for each persona."""
    accounts = keystone.accounts
    revoked = accounts.issue("owner")
    accounts.revoke(revoked)
    # The persona is an administrator too; this is its role of a service alone.
    service = accounts.application_credential("service", fresh_stack(), roles=["service"])
    sent = {
        "junk token": "junk",
        "expired token": expired(keystone, server),
        "revoked token": revoked,
        "service": accounts.issue_with(service),
        "restricted": restricted(keystone),
        **{name: tokens[name] for name in ("outsider", "admin", "reader", "owner")},
    }
    made = {name: with_token(server, token) for name, token in sent.items()}
    made["no token"] = Caller(server.url)
    assert set(made) == set(PERSONAS)
    yield made
    for caller in made.values():
        caller.close()


@pytest.fixture(scope="module")
def project(keystone: KeystoneServer) -> str:
    """The owner's."""
    return keystone.accounts.project_id("owner")


@pytest.fixture
def owned(callers: dict[str, Caller]) -> Iterator[str]:
    """The name of a stack of the owner's that is filled; other projects have none of this name."""
    name = fresh_stack()
    fill(callers["owner"], name)
    yield name
    remove(callers, name, *STRANGERS)


@pytest.fixture
def grant(callers: dict[str, Caller], owned: str) -> str:
    """The id of the one grant of that stack."""
    (found,) = callers["owner"].get(f"/v1/stacks/{owned}/grants").json()["grants"]
    identity: str = found["id"]
    return identity
