"""Readiness and liveness: whether requests may come here, and whether the process is worth keeping."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from werkzeug.test import Client

from factstore.cmd.processes.api import Options, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.wsgi import configuration, deploy, runtime, runtime_registry
from factstore.wsgi.clock import SystemClock
from tests.eventually import eventually
from tests.http import Caller
from tests.service import ApiServer, check_log

READY, LIVE = "/healthcheck", "/healthcheck/live"
UP, DOWN = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE


@contextmanager
def watched(api: Caller) -> Iterator[None]:
    """All the while liveness is asked for, again and again, and must be there."""
    over = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        with Caller(api.url) as prober:
            while not over.wait(0.05):
                answers.append(prober.get(LIVE).status_code)

    prober = threading.Thread(target=ask)
    prober.start()
    try:
        yield
    finally:
        over.set()
        prober.join()
    assert set(answers) == {UP}


def status(api: Caller, path: str) -> int:
    return api.get(path).status_code


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_without_etcd_a_service_is_not_ready_and_yet_alive(
    private_etcd: EtcdServer, tmp_path: Path, how: str
) -> None:
    with (
        ApiServer([private_etcd.endpoint], tmp_path / "api", workers=2) as server,
        Caller(server.url) as api,
        watched(api),
    ):
        assert status(api, READY) == UP
        (private_etcd.kill if how == "killed" else private_etcd.pause)()
        eventually(lambda: status(api, READY) == DOWN)
        assert status(api, LIVE) == UP
        if how == "killed":
            private_etcd.restart()
        else:
            private_etcd.resume()
        eventually(lambda: status(api, READY) == UP)
        check_log(server)


def test_a_service_that_never_saw_its_etcd_is_alive(tmp_path: Path) -> None:
    server = ApiServer(["http://127.0.0.1:1"], tmp_path / "api")
    try:
        server.start(wait=False)
        with Caller(server.url) as api:
            eventually(lambda: answers(api))
            assert status(api, LIVE) == UP
            assert status(api, READY) == DOWN
        reason = "etcd at http://127.0.0.1:1: connection refused"
        eventually(lambda: reason in server.log_path.read_text())
    finally:
        server.kill()


def answers(api: Caller) -> bool:
    try:
        return status(api, LIVE) != 0
    except OSError:
        return False


def test_a_file_takes_a_host_out_and_back_in(etcd: EtcdServer, tmp_path: Path) -> None:
    out = tmp_path / "out-of-service"
    options = {"healthcheck": {"disable_by_file_path": str(out)}}
    with (
        ApiServer([etcd.endpoint], tmp_path / "api", options=options) as server,
        Caller(server.url) as api,
    ):
        out.touch()
        assert status(api, READY) == DOWN
        assert "DISABLED BY FILE" in api.get(READY).text
        assert status(api, LIVE) == UP
        assert status(api, "/v1/stacks") == UP  # requests that arrive anyway are served
        out.unlink()
        assert status(api, READY) == UP


def test_the_operators_other_options_count_for_both(etcd: EtcdServer, tmp_path: Path) -> None:
    options: Options = {
        "healthcheck": {
            "allowed_source_ranges": "192.0.2.0/24",
            "backends": "enable_by_files",
            "enable_by_file_paths": str(tmp_path / "missing"),
        }
    }
    with in_process(etcd, tmp_path, options) as (_, client):
        for path in (READY, LIVE):
            assert ask(client, path)[0] == HTTPStatus.NOT_FOUND  # for others it is not there
            expected = DOWN if path == READY else UP
            assert ask(client, path, address="192.0.2.1")[0] == expected


@contextmanager
def in_process(
    etcd: EtcdServer, tmp_path: Path, options: Options | None = None
) -> Iterator[tuple[runtime.Runtime, Client]]:
    """The whole pipeline over a worker of this process, whose parts a test can reach."""
    config = tmp_path / "factstore.conf"
    none = {"auth_strategy": "none"}
    write_options(
        config, {"DEFAULT": none, "etcd": {"endpoints": etcd.endpoint}, **(options or {})}
    )
    conf = configuration.read([str(config)])
    worker = runtime.build(conf, SystemClock())
    worker.start()
    runtime_registry.set_runtime(worker)
    try:
        assert worker.catch_up(30)
        yield worker, Client(deploy.pipeline(conf, worker))
    finally:
        runtime_registry.set_runtime(None)
        worker.stop()


def ask(client: Client, path: str, address: str = "127.0.0.1") -> tuple[int, str]:
    answer = client.get(path, environ_overrides={"REMOTE_ADDR": address})
    return answer.status_code, answer.text


def test_readiness_ends_with_the_first_moment_of_draining_and_liveness_does_not(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with in_process(etcd, tmp_path) as (worker, client):
        eventually(lambda: ask(client, READY) == (UP, "etcd answers"))
        worker.drain()
        assert ask(client, READY) == (DOWN, "the service is stopping")
        assert ask(client, LIVE) == (UP, "alive")


def test_a_worker_that_has_caught_up_has_followed_the_whole_history(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with in_process(etcd, tmp_path) as (worker, _):
        for _ in range(50):
            last = worker.backend.bump_revision(worker.clock.monotonic() + 30)
    with in_process(etcd, tmp_path) as (worker, _):
        assert worker.store.state().revision >= last


def test_a_process_that_lost_a_part_of_its_machinery_is_not_alive(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    stops: dict[str, Callable[[runtime.Runtime], None]] = {
        "pump": lambda worker: worker.pump.stop(),
        "read_index": lambda worker: worker.store.stop(),
        "commit_batcher": lambda worker: worker.backend.close(),
        "maintenance": lambda worker: worker.maintenance.stop(),
    }
    for part, stop in stops.items():
        with in_process(etcd, tmp_path) as (worker, client):
            assert ask(client, LIVE) == (UP, "alive")
            stop(worker)
            assert ask(client, LIVE) == (DOWN, f"ended: {part}")
