"""Two services behind each proxy that has a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from factstore.cmd.processes.api import Options
from factstore.cmd.processes.etcd import EtcdServer
from tests.http import Caller, fresh_stack
from tests.proxies.serving import Proxy
from tests.service import ApiServer, check_log

BEHIND: Options = {
    "api": {"access_log": "true"},
    "console": {"enabled": "true"},
    "oslo_middleware": {"enable_proxy_headers_parsing": "true"},
}


def address(server: ApiServer) -> str:
    return urlsplit(server.url).netloc


@dataclass(frozen=True)
class Site:
    """A proxy and the services behind it."""

    proxy: Proxy
    services: tuple[ApiServer, ApiServer]

    def logs(self) -> str:
        return "".join(service.log_path.read_text() for service in self.services)


@pytest.fixture(scope="module", params=["nginx", "haproxy", "apache"])
def site(
    request: pytest.FixtureRequest, etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A proxy for tests that stop nothing."""
    yield from serving(request.param, etcd, tmp_path_factory.mktemp(request.param))


@pytest.fixture(params=["nginx", "haproxy", "apache"])
def private_site(
    request: pytest.FixtureRequest, etcd: EtcdServer, tmp_path: Path
) -> Iterator[Site]:
    """A proxy for one test, which may stop parts of it."""
    yield from serving(request.param, etcd, tmp_path)


def serving(kind: str, etcd: EtcdServer, folder: Path) -> Iterator[Site]:
    with (
        ApiServer([etcd.endpoint], folder / "one", options=BEHIND) as one,
        ApiServer([etcd.endpoint], folder / "two", options=BEHIND) as two,
    ):
        proxy = Proxy(kind, [address(one), address(two)], folder)
        try:
            proxy.start()
            yield Site(proxy, (one, two))
        finally:
            proxy.stop()
        check_log(one)
        check_log(two)


@pytest.fixture
def api(site: Site) -> Iterator[Caller]:
    """Return a client of the public address."""
    with site.proxy.caller() as caller:
        yield caller


@pytest.fixture
def stack() -> str:
    """Return the path of a stack that does not exist yet."""
    return f"/v1/stacks/{fresh_stack()}"
