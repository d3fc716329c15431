"""Services with the console: one for everybody, and one that asks a real Keystone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.console.chromium import Chromium, Page
from tests.console.contents import MARKUP, fill
from tests.http import Caller
from tests.service import ApiServer, check_log

CONSOLE = {"console": {"enabled": "true"}}


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A page, on which no script fails and nothing breaks the content security policy."""
    opened = chromium.page()
    yield opened
    opened.js("0")  # reads what was reported meanwhile
    errors = opened.errors
    opened.close()
    assert errors == []


@pytest.fixture(scope="session")
def console(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service with the console, without authentication."""
    with ApiServer([etcd.endpoint], tmp_path_factory.mktemp("api"), options=CONSOLE) as server:
        yield server
        check_log(server)


@pytest.fixture(scope="session")
def api(console: ApiServer) -> Iterator[Caller]:
    with Caller(console.url) as caller:
        yield caller


@pytest.fixture(scope="session")
def stack(api: Caller) -> str:
    """A stack with something of every kind, of which every text is markup."""
    return fill(api, MARKUP)


@pytest.fixture(scope="session")
def guarded(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """A service with the console at which people sign in, that logs all it can."""
    options = {
        **CONSOLE,
        "DEFAULT": {"debug": "true"},
        "keystone_authtoken": {"token_cache_time": "2"},
        "oslo_middleware": {"enable_proxy_headers_parsing": "true"},
    }
    with ApiServer(
        [etcd.endpoint],
        tmp_path_factory.mktemp("api"),
        auth="keystone",
        keystone=keystone,
        options=options,
    ) as server:
        yield server
        check_log(server, *(keystone.accounts.password(name) for name in ("owner", "reader")))
