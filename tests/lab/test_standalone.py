"""``factstore standalone`` from the outside: its output, its processes and its files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from factstore import SERVICE_TYPE
from factstore.cmd.processes.ports import LOOPBACK, free_port, is_free
from factstore.cmd.processes.probe import Probe
from factstore.keys.repository import Key, Repository
from tests.commands import forked
from tests.eventually import eventually
from tests.http import Caller
from tests.processes import descendants, gone
from tests.service import make_api

ORIGIN = "http://127.0.0.1:8000"

# The same as the subcommand, with a stub instead of the API.
SERVE = """\
import signal, sys
from pathlib import Path
from factstore.cmd.errors import CommandError
from factstore.cmd.standalone import serve
from factstore.cmd.standalone_settings import Settings
from tests.lab import stub
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
port, state, keystone = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
origin, access_log = sys.argv[4] or None, sys.argv[5] == "True"
settings = Settings(port, state, 1, keystone, origin, stub.ARGV, access_log, sys.argv[6])
try:
    sys.exit(serve(settings))
except CommandError as error:
    sys.exit(str(error))
"""


class Standalone:
    """A running supervisor, its output, and the processes below it."""

    def __init__(
        self,
        state: Path,
        port: int,
        keystone: bool = False,
        allow_origin: str = "",
        access_log: bool = False,
        service_type: str = SERVICE_TYPE,
    ) -> None:
        self.port = port
        self.state = state
        self.url = f"http://{LOOPBACK}:{port}"
        self.output = state.parent / f"{state.name}.out"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", SERVE, str(port), str(state)),
                    *(str(keystone), allow_origin, str(access_log), service_type),
                ],
                stdout=output,
                stderr=output,
            )

    def ready(self) -> Standalone:
        eventually(lambda: self._ended() or "Put a fact:" in self.printed(), within=180)
        assert not self._ended(), self.printed()
        return self

    def printed(self) -> str:
        return self.output.read_text()

    def below(self) -> dict[int, str]:
        """Return the command lines of all its processes by process id."""
        return descendants(self.process.pid)

    def etcd_pid(self) -> int | None:
        # The launcher has the same arguments after its own.
        return next(
            (
                pid
                for pid, line in self.below().items()
                if "--data-dir" in line and "launch.py" not in line
            ),
            None,
        )

    def etcd_endpoint(self) -> str:
        with opened(f"{self.url}/etcd") as answer:
            endpoint: str = answer.read().decode()
            return endpoint

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def _ended(self) -> bool:
        return self.process.poll() is not None


def opened(url: str) -> Any:
    """Return the response of a URL, without a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, timeout=60)


Start = Callable[..., Standalone]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Standalone] = []

    def start(*options: Any, **more: Any) -> Standalone:
        started.append(Standalone(tmp_path / "state", free_port(), *options, **more))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A supervisor for the tests that leave it as it is."""
    state = tmp_path_factory.mktemp("running") / "state"
    made = Standalone(state, free_port(), allow_origin=ORIGIN)
    try:
        yield made.ready()
    finally:
        made.process.kill()
        made.process.wait()


def command(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    argv = ["standalone", *map(str, arguments)]
    return forked("factstore.cmd.main", argv, {**os.environ, **env})


def assert_refused(result: subprocess.CompletedProcess[str], reason: str) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(rf"factstore standalone: .*{reason}.*\n", result.stderr), result.stderr


def test_without_etcd_one_line_names_the_package(tmp_path: Path) -> None:
    result = command("--state", tmp_path / "state", FACTSTORE_ETCD="/nowhere/etcd")
    assert_refused(result, "apt install etcd-server")


def test_without_keystone_one_line_names_the_extra(tmp_path: Path) -> None:
    arguments = ("--keystone", "--state", tmp_path / "state")
    result = command(*arguments, FACTSTORE_KEYSTONE_PYTHON="/bin/false")
    assert_refused(result, re.escape("openstack-factstore[server,keystone]"))


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        result = command("--state", tmp_path / "state", "--port", port)
    assert_refused(result, f"port {port} is in use")


def test_a_state_directory_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert_refused(command("--state", tmp_path / "state"), "cannot use the state directory")


def test_a_second_instance_on_the_same_state_is_one_line(running: Standalone) -> None:
    arguments = ("--state", running.state, "--port", free_port())
    assert_refused(command(*arguments), "another factstore")


@pytest.mark.parametrize(
    "arguments", [("--port", "0"), ("--workers", "0"), ("--port", "x"), ("--allow-origin", "foo")]
)
def test_senseless_options_are_usage_errors(arguments: tuple[str, str]) -> None:
    result = command(*arguments)
    assert result.returncode == 2
    assert f"{arguments[1]!r} is not a" in result.stderr


def config_of(standalone: Standalone) -> ConfigParser:
    """Return the configuration that a supervisor wrote."""
    written = ConfigParser(interpolation=None)
    written.read(standalone.state / "factstore.conf")
    return written


def keys_of(standalone: Standalone) -> list[Key]:
    """Return the sealing keys that the configuration names."""
    return Repository(Path(config_of(standalone)["sealing"]["key_repository"])).read_keys()


def test_an_origin_is_allowed_if_requested(running: Standalone) -> None:
    assert config_of(running)["cors"]["allowed_origin"] == ORIGIN


def test_a_signal_ends_everything_and_the_next_start_uses_the_same_address_data_and_keys(
    start: Start,
) -> None:
    kept = []
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        standalone = start().ready()
        endpoint, keys = standalone.etcd_endpoint(), keys_of(standalone)
        probe = Probe(endpoint)
        if not kept:
            probe.json("/v3/kv/put", {"key": "aw==", "value": "dg=="}, timeout=60)
        (found,) = probe.json("/v3/kv/range", {"key": "aw=="}, timeout=60)["kvs"]
        kept.append((endpoint, keys, found))
        below = standalone.below()
        assert len(below) >= 3, "etcd, the API's master and a worker"
        assert standalone.stop(number) == 0
        eventually(lambda below=below: gone(below))  # type: ignore[misc]
    assert [key.number for key in kept[0][1]] == [1, 0]
    assert kept[0] == kept[1] == kept[2]


def test_a_signal_during_the_start_ends_everything_with_status_0(start: Start) -> None:
    standalone = start()
    eventually(standalone.below)
    assert standalone.stop() == 0
    assert is_free(standalone.port)


def test_a_second_signal_does_not_wait(start: Start) -> None:
    standalone = start().ready()
    below = standalone.below()
    with opened(f"{standalone.url}/long") as response:  # for which the API would wait
        assert response.read(5) == b"begun"
        standalone.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in standalone.printed())
        assert standalone.stop() == 128 + signal.SIGTERM
    eventually(lambda: gone(below))


def test_nothing_outlives_a_killed_supervisor(start: Start) -> None:
    standalone = start().ready()
    below = standalone.below()
    assert standalone.stop(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: gone(below))


def test_a_killed_etcd_is_restarted_at_its_address_while_the_api_keeps_running(
    running: Standalone,
) -> None:
    endpoint, pid = running.etcd_endpoint(), running.etcd_pid()
    assert pid is not None
    api = {each for each in running.below() if each != pid}
    os.kill(pid, signal.SIGKILL)
    probe = Probe(endpoint)
    eventually(lambda: running.etcd_pid() not in (pid, None))
    eventually(lambda: probe.status("/health") == 200)
    assert api <= running.below().keys()
    assert "etcd ended with status -9; starting it again" in running.printed()


def test_the_death_of_the_api_is_the_end_with_its_last_words(start: Start) -> None:
    standalone = start().ready()
    below = standalone.below()
    master = next(pid for pid, line in below.items() if "gunicorn" in line)
    os.kill(master, signal.SIGKILL)
    assert standalone.process.wait(60) == 1
    assert "the API ended with status -9; its last lines, from " in standalone.printed()
    assert "Booting worker" in standalone.printed()
    assert "Traceback" not in standalone.printed()
    eventually(lambda: gone(below))


def test_settings_of_ones_own_override_the_generated_ones_and_are_kept(start: Start) -> None:
    first = start().ready()
    own, generated = first.state / "local.conf", first.state / "factstore.conf"
    # No origin was requested.
    assert config_of(first).get("cors", "allowed_origin", fallback="") == ""
    heading = "".join(line[2:] for line in generated.read_text().splitlines() if line[:1] == "#")
    assert "do not edit" in heading
    assert str(own) in first.printed()
    first.stop()
    own.write_text("[etcd]\nendpoints = http://own.example:2379\n")
    second = start(access_log=True).ready()
    assert second.etcd_endpoint() == "http://own.example:2379"
    assert own.read_text() == "[etcd]\nendpoints = http://own.example:2379\n"
    # With --access-log, the log is printed too.
    assert "access_log = True" in generated.read_text()
    eventually(lambda: "Booting worker" in second.printed())
    second.stop()
    assert f"stopping; the data are kept in {second.state}" in second.printed()


def test_the_configuration_is_for_its_owner_only(running: Standalone) -> None:
    state = running.state
    assert state.stat().st_mode & 0o777 == 0o700
    for name in ("factstore.conf", "api.log", "etcd.log"):
        assert (state / name).stat().st_mode & 0o777 == 0o600


def test_the_console_answers_at_the_url_that_is_printed(
    running: Standalone, tmp_path: Path
) -> None:
    line = re.search(r"^  console +(\S+)$", running.printed(), re.MULTILINE)
    assert line is not None
    # The API itself, with the configuration that was written for it, at another port than its stub.
    port, own = free_port(), tmp_path / "own.conf"
    own.write_text(f"[api]\nport = {port}\n")
    api = make_api(running.state / "factstore.conf", port, tmp_path / "api.log", own_config=own)
    assert line[1].startswith(f"{running.url}/")
    url = api.url + line[1].removeprefix(running.url)
    try:
        api.start()
        api.wait_ready(90)
        with Caller(url) as caller:
            page, script = caller.get(""), caller.get("main.js")
            assert '<script src="main.js"' in page.text
            assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert caller.get("session").json()["auth"] == "none"
    finally:
        api.stop()


def test_with_keystone_the_printed_lines_give_a_token(start: Start) -> None:
    standalone = start(keystone=True, service_type="acme:facts").ready()
    clouds = json.loads((standalone.state / "clouds.yaml").read_text())["clouds"]
    for persona in ("owner", "reader", "outsider", "admin"):
        openrc = (standalone.state / f"openrc-{persona}").read_text()
        assert "OS_CONTEXTUALIZATION_SERVICE_TYPE=acme:facts\n" in openrc
        assert clouds[persona]["contextualization_service_type"] == "acme:facts"
        assert f"OS_PASSWORD={clouds[persona]['auth']['password']}\n" in openrc
        assert str(standalone.state / f"openrc-{persona}") in standalone.printed()
    line = re.search(r"^  (TOKEN=.*)$", standalone.printed(), re.MULTILINE)
    assert line is not None
    shell = subprocess.run(
        ["sh", "-c", f'{line[1]}; echo "$TOKEN"'], capture_output=True, text=True, check=True
    )
    assert len(shell.stdout) > 100, shell.stderr
    config = config_of(standalone)
    assert config["DEFAULT"]["auth_strategy"] == "keystone"
    assert config["keystone_authtoken"]["service_type"] == "acme:facts"
    below = standalone.below()
    assert standalone.stop() == 0
    eventually(lambda: gone(below))
