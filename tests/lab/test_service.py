"""The tests' handle on the API has the stated effects on its processes."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.process import ChildError
from tests.eventually import eventually
from tests.lab import stub
from tests.processes import gone
from tests.service import ApiServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(
        ["http://127.0.0.1:1"],
        tmp_path / "api",
        workers=2,
        options={"api": {"extra": "$1"}},
        argv=stub.ARGV,
    ) as api:
        eventually(lambda: len(api.workers()) == 2)
        yield api


def test_a_killed_worker_is_replaced(server: ApiServer) -> None:
    killed = server.kill_worker()
    eventually(lambda: len(server.workers()) == 2 and killed not in server.workers())
    assert server.healthy()


def test_killing_it_kills_the_workers_too(server: ApiServer) -> None:
    workers = server.workers()
    server.kill()
    eventually(lambda: gone(workers))
    assert not server.healthy()


def test_a_restarted_server_has_the_same_address(server: ApiServer) -> None:
    url = server.url
    server.kill()
    server.restart()
    assert server.url == url
    assert server.healthy()


def test_options_reach_the_configuration_and_dollars_survive(
    server: ApiServer, tmp_path: Path
) -> None:
    config = ConfigParser(interpolation=None)
    config.read(tmp_path / "api" / "factstore.conf")
    assert config["api"]["extra"] == "$$1"  # oslo.config reads "$1"
    assert config["etcd"]["endpoints"] == "http://127.0.0.1:1"


def test_an_option_of_several_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="several lines"):
        write_options(tmp_path / "conf", {"api": {"host": "a\nport = 1"}})


def test_a_service_that_cannot_start_reports_the_reason(tmp_path: Path) -> None:
    api = ApiServer([], tmp_path / "api", argv=["sh", "-c", "echo no such option; exit 1"])
    with pytest.raises(ChildError, match="no such option"):
        api.start()
    api.stop()
