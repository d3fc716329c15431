"""F15: services that are restarted one after another, under load, and clients that try again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.http import Caller, fresh_stack
from tests.processes import gone
from tests.proxies.conftest import BEHIND, address
from tests.proxies.serving import Proxy
from tests.service import ApiServer, check_log
from tests.streaming import Stream

WRITERS = 4
TRIES = 100
PACE = 0.1  # seconds between two writes of a writer; services start meanwhile on the same cores


class Load:
    """Writers that try again, and a watcher that resumes; what they got, and what they saw."""

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
        self.told: list[str] = []
        self.refused: list[str] = []
        self.broken: list[str] = []
        self.streams = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._caller() as api:
            first = api.put(f"{self._stack}/facts/begin", "begin")
            self._last = first.headers["Factstore-Cursor"]
        threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        watcher = threading.Thread(target=self._watch)
        for thread in [watcher, *threads]:
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
            watcher.join()

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

    def _watch(self) -> None:
        while True:
            try:
                with self._stream(
                    f"{self._stack}/events?on_gap=error", {"Last-Event-ID": self._last}
                ) as stream:
                    if stream.answer.status != 200:
                        self.refused.append(f"{stream.answer.status} stream")
                        self._pause.wait(0.05)
                        continue
                    self.streams += 1
                    for frame in stream:
                        self._last = frame.id or self._last
                        if frame.event == "change":
                            told = [change["fact"]["value"] for change in frame.data["changes"]]
                            self.told += told
                            if "end" in told:
                                return
            except OSError as error:
                self.broken.append(repr(error))
                self._pause.wait(0.05)


def nothing_was_lost(load: Load) -> None:
    """Check that each write was reported once, those of one writer in order, and nothing else."""
    assert load.told.pop() == "end"
    assert len(load.told) == len(load.written) > 0
    for number in range(WRITERS):
        mine = f"{number}-"
        written = [value for value in load.written if value.startswith(mine)]
        assert [value for value in load.told if value.startswith(mine)] == written


def test_a_reload_of_a_service_with_two_workers_refuses_no_request(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([etcd.endpoint], tmp_path / "api", workers=2) as server:
        load = Load(
            lambda: Caller(server.url), lambda path, headers: Stream(server.url, path, headers)
        )
        with load.running():
            for _ in range(2):
                old = server.workers()
                server.signal(signal.SIGHUP)  # systemctl reload
                eventually(lambda old=old: gone(old), 30)  # type: ignore[misc]
                load.goes_on()
        assert load.refused == []
        assert load.streams >= 3  # it was sent away each time
        nothing_was_lost(load)
        check_log(server)


@pytest.fixture(scope="module", params=["nginx", "haproxy", "apache"])
def site(
    request: pytest.FixtureRequest, etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, list[ApiServer]]]:
    """Two services behind a proxy; a file beside the log of each takes it out."""
    folder = tmp_path_factory.mktemp(request.param)
    services = []
    for name in ("one", "two"):
        out = {"healthcheck": {"disable_by_file_path": str(folder / name / "out")}}
        services.append(ApiServer([etcd.endpoint], folder / name, options={**BEHIND, **out}))
    proxy = Proxy(request.param, [address(service) for service in services], folder)
    try:
        for service in services:
            service.start()
        proxy.start()
        yield proxy, services
        for service in services:
            check_log(service)
    finally:
        proxy.stop()
        for service in services:
            service.stop()


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


@pytest.mark.parametrize("site", ["nginx"], indirect=True)
def test_services_behind_a_proxy_are_reloaded_without_a_refused_request(
    site: tuple[Proxy, list[ApiServer]],
) -> None:
    proxy, services = site
    load = Load(proxy.caller, proxy.stream)
    with load.running():
        for service in services:
            old = service.workers()
            service.signal(signal.SIGHUP)
            eventually(lambda old=old: gone(old), 30)  # type: ignore[misc]
            # On a busy machine a proxy may have missed it for a while; the other one goes on till then.
            eventually(lambda service=service: is_asked(service, load), 30)  # type: ignore[misc]
    assert load.refused == []
    nothing_was_lost(load)


def test_behind_a_proxy_services_are_taken_out_stopped_and_started_one_after_another(
    site: tuple[Proxy, list[ApiServer]],
) -> None:
    proxy, services = site
    asks = proxy.kind != "nginx"  # that one learns of the end of a service by an error

    load = Load(proxy.caller, proxy.stream)
    with load.running():
        for service in services:
            file = service.log_path.with_name("out")
            file.touch()
            if asks:
                eventually(lambda service=service: not is_asked(service, load), 30)  # type: ignore[misc]
            service.stop(deadline=15)
            file.unlink()
            service.start()
            eventually(lambda service=service: is_asked(service, load), 30)  # type: ignore[misc]
    if asks:
        assert load.refused == []
    else:
        assert {entry.split()[0] for entry in load.refused} <= {"502"}
    nothing_was_lost(load)
