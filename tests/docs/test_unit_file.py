"""systemd accepts the shipped unit, and the unit starts the service."""

from __future__ import annotations

import configparser
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from factstore.cmd.processes.api import ApiProcess, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from tests.eventually import eventually
from tests.processes import gone

UNIT = Path(__file__).parents[2] / "etc" / "systemd" / "factstore-api.service"
PROGRAM = "/opt/factstore/bin/factstore-api"
EXPOSURE = 20  # tenths; systemd calls below 20 "OK", and an unhardened service has 96


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    assert found is not None, "install systemd: tools/system-packages test"
    return found


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit, with a program that exists."""
    text = UNIT.read_text()
    assert PROGRAM in text
    file = tmp_path / UNIT.name
    file.write_text(text.replace(PROGRAM, sys.executable))
    return file


def test_systemd_finds_nothing_wrong_with_it(analyze: str, unit: Path) -> None:
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_leaves_the_service_little_to_do_harm_with(analyze: str, unit: Path) -> None:
    command = [analyze, "security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_commands_start_reload_and_stop_the_service(
    etcd: EtcdServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    service = parser["Service"]
    assert service["Environment"] == "OS_FACTSTORE_CONFIG_FILES=/etc/factstore/factstore.conf"
    start = shlex.split(service["ExecStart"])
    assert start == [PROGRAM]
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"

    config, port = tmp_path / "factstore.conf", free_port()
    write_options(
        config,
        {
            "DEFAULT": {"auth_strategy": "none"},
            "api": {"port": port},
            "etcd": {"endpoints": etcd.endpoint},
        },
    )
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(f"\0{tmp_path}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{tmp_path}")
    api = ApiProcess(config, port, tmp_path / "api.log")
    api.start()
    try:
        api.wait_ready()
        assert systemd.recv(1000).startswith(b"READY=1")
        old = api.workers()
        api.child.send_signal(signal.SIGHUP)
        eventually(lambda: gone(old), 30)
        assert api.child.running
        api.wait_ready()
        assert api.child.terminate(float(service["TimeoutStopSec"])) == 0
    finally:
        api.kill()
        systemd.close()


def test_it_gives_a_stopping_service_the_time_that_it_takes() -> None:
    from factstore.conf.api import API_OPTS

    defaults = {option.name: option.default for option in API_OPTS}
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    assert parser.getint("Service", "TimeoutStopSec") > defaults["drain_seconds"]
    assert parser.getint("Service", "LimitNOFILE") > defaults["connections"]
