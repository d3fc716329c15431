"""F15: services that are restarted one after another, under load, and clients that try again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.api import API_ARGV
from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.http import Caller, fresh_stack
from tests.processes import gone
from tests.proxies.conftest import BEHIND, address
from tests.proxies.serving import Proxy
from tests.service import ApiServer, check_log
from tests.streaming import Stream

WRITERS = 2
WATCHERS = 2  # one at each service: a proxy may prefer the service that has no stream
TRIES = 100
PACE = 0.2  # seconds between two writes of a writer; services start meanwhile on the same cores


class Load:
    """Writers that try again, and watchers that resume; what they got, and what they saw."""

    def __init__(
        self, caller: Callable[[], Caller], stream: Callable[[str, dict[str, str]], Stream]
    ) -> None:
        self._caller = caller
        self._stream = stream
        self._stack = f"/v1/stacks/{fresh_stack()}"
        self._over = threading.Event()
        self._pause = threading.Event()  # never set
        self._lock = threading.Lock()
        self.written: list[str] = []
        self.told: list[list[str]] = [[] for _ in range(WATCHERS)]
        self.refused: list[str] = []
        self.broken: list[str] = []
        self.streams = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._caller() as api:
            first = api.put(f"{self._stack}/facts/begin", "begin")
            start = first.headers["Factstore-Cursor"]
        threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        watchers = [threading.Thread(target=self._watch, args=(start, t)) for t in self.told]
        for thread in [*watchers, *threads]:
            thread.start()
        try:
            self.goes_on()
            yield
            self.goes_on()
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            with self._caller() as api:
                self._send(lambda: api.put(f"{self._stack}/facts/end", "end"))
            for thread in watchers:
                thread.join()

    def goes_on(self) -> None:
        """Wait until more has been written than now."""
        before = len(self.written)
        eventually(lambda: len(self.written) > before + 5 * WRITERS, 60)

    def _write(self, number: int) -> None:
        turn = 0
        with self._caller() as api:
            while not self._over.is_set():
                turn += 1
                value = f"{number}-{turn}"
                key = {"Idempotency-Key": f"{self._stack}-{value}"}
                self._send(
                    lambda value=value, key=key: api.put(  # type: ignore[misc]
                        f"{self._stack}/facts/f{number}", value, headers=key
                    )
                )
                with self._lock:
                    self.written.append(value)
                self._over.wait(PACE)

    def _send(self, send: Callable[[], requests.Response]) -> requests.Response:
        for _ in range(TRIES):
            try:
                answer = send()
            except requests.ConnectionError as error:
                self.broken.append(repr(error))
                self._pause.wait(0.05)
                continue
            if answer.ok:
                return answer
            self.refused.append(f"{answer.status_code} {answer.text[:300]}")
            if answer.status_code < 500:
                break
            self._pause.wait(0.05)
        raise AssertionError(f"gave up: {self.refused[-3:]} {self.broken[-3:]}")

    def _watch(self, last: str, told: list[str]) -> None:
        while True:
            try:
                with self._stream(
                    f"{self._stack}/events?on_gap=error", {"Last-Event-ID": last}
                ) as stream:
                    if stream.answer.status != 200:
                        self.refused.append(f"{stream.answer.status} stream")
                        self._pause.wait(0.05)
                        continue
                    with self._lock:
                        self.streams += 1
                    for frame in stream:
                        last = frame.id or last
                        if frame.event == "change":
                            told += [change["fact"]["value"] for change in frame.data["changes"]]
                            if "end" in told:
                                return
            except OSError as error:
                self.broken.append(repr(error))
                self._pause.wait(0.05)


def nothing_was_lost(load: Load) -> None:
    """Check that each watcher got each write once, those of a writer in order, and nothing else."""
    for told in load.told:
        assert told.pop() == "end"
        assert len(told) == len(load.written) > 0
        for number in range(WRITERS):
            mine = f"{number}-"
            written = [value for value in load.written if value.startswith(mine)]
            assert [value for value in told if value.startswith(mine)] == written


def test_a_reload_of_a_service_with_two_workers_refuses_no_request(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([etcd.endpoint], tmp_path / "api", workers=2, argv=API_ARGV) as server:
        load = Load(
            lambda: Caller(server.url), lambda path, headers: Stream(server.url, path, headers)
        )
        with load.running():
            old = server.workers()
            server.signal(signal.SIGHUP)  # systemctl reload
            eventually(lambda: gone(old), 60)
        assert load.refused == []
        assert load.streams >= 2 * WATCHERS  # they were sent away
        nothing_was_lost(load)
        check_log(server)


def test_a_reload_with_a_store_that_cannot_be_read_keeps_the_old_workers(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([etcd.endpoint], tmp_path / "api", argv=API_ARGV) as server:
        old, usable = server.workers(), server.config.read_text()
        server.config.write_text(usable.replace(etcd.endpoint, "http://127.0.0.1:1"))
        server.signal(signal.SIGHUP)
        remain = "The old workers remain, because new ones cannot read the store"
        eventually(lambda: remain in server.log_path.read_text(), 60)
        eventually(lambda: server.workers() == old, 60)
        with Caller(server.url) as api:
            assert api.put(f"/v1/stacks/{fresh_stack()}/facts/a", "x").status_code == 201
        server.config.write_text(usable)
        server.signal(signal.SIGHUP)
        eventually(lambda: gone(old), 60)
        with Caller(server.url) as api:
            assert api.put(f"/v1/stacks/{fresh_stack()}/facts/a", "x").status_code == 201


@pytest.fixture(scope="module")
def services(
    etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ApiServer]]:
    """Two services; a file beside the log of each takes it out."""
    folder = tmp_path_factory.mktemp("services")
    made = []
    for name in ("one", "two"):
        out = {"healthcheck": {"disable_by_file_path": str(folder / name / "out")}}
        options = {**BEHIND, **out}
        made.append(ApiServer([etcd.endpoint], folder / name, options=options))
    with made[0], made[1]:
        yield made
        for service in made:
            check_log(service)


@pytest.fixture(params=["nginx", "haproxy", "apache"])
def proxy(
    request: pytest.FixtureRequest, services: list[ApiServer], tmp_path: Path
) -> Iterator[Proxy]:
    """A proxy before both services."""
    made = Proxy(request.param, [address(service) for service in services], tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def served(service: ApiServer) -> int:
    """Return the number of requests that a service has answered, without healthchecks."""
    lines = service.log_path.read_text().splitlines()
    return sum(
        "factstore.wsgi.middleware.request_id" in line and "/healthcheck" not in line
        for line in lines
    )


def is_asked(service: ApiServer, load: Load) -> bool:
    """Return True if the service receives a part of the load."""
    before = served(service)
    load.goes_on()
    return served(service) > before


@pytest.mark.parametrize("proxy", ["nginx"], indirect=True)
def test_services_behind_a_proxy_are_reloaded_without_a_refused_request(
    proxy: Proxy, services: list[ApiServer]
) -> None:
    load = Load(proxy.caller, proxy.stream)
    with load.running():
        for service in services:
            old = service.workers()
            service.signal(signal.SIGHUP)
            eventually(lambda old=old: gone(old), 60)  # type: ignore[misc]
            # On a busy machine a proxy may have missed it for a while; the other one goes on till then.
            eventually(lambda service=service: is_asked(service, load), 60)  # type: ignore[misc]
    assert load.refused == []
    nothing_was_lost(load)


def test_behind_a_proxy_services_are_taken_out_stopped_and_started_one_after_another(
    proxy: Proxy, services: list[ApiServer]
) -> None:
    asks = proxy.kind != "nginx"  # that one learns of the end of a service by an error

    load = Load(proxy.caller, proxy.stream)
    with load.running():
        for service in services:
            file = service.log_path.with_name("out")
            file.touch()
            if asks:
                eventually(lambda service=service: not is_asked(service, load), 60)  # type: ignore[misc]
            service.stop()
            file.unlink()
            service.start()
            eventually(lambda service=service: is_asked(service, load), 60)  # type: ignore[misc]
    if asks:
        assert load.refused == []
    else:
        assert {entry.split()[0] for entry in load.refused} <= {"502"}
    nothing_was_lost(load)
