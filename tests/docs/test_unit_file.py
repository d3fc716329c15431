"""systemd accepts the shipped units, and the API's unit starts the service."""

from __future__ import annotations

import configparser
import os
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
NOTIFIER = UNIT.with_name("factstore-notify.service")
EXPOSURE = 20  # tenths; systemd calls below 20 "OK", and an unhardened service has 96


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    assert found is not None, "install systemd: tools/system-packages test"
    return found


@pytest.fixture(params=[UNIT, NOTIFIER], ids=lambda unit: unit.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a unit, with a program that exists."""
    text = request.param.read_text()
    program = f"/opt/factstore/bin/{request.param.stem}"
    assert program in text
    file = tmp_path / request.param.name
    file.write_text(text.replace(program, sys.executable))
    return file


def environment(unit: Path) -> dict[str, str]:
    """Return the environment variables that a unit sets."""
    lines = unit.read_text().splitlines()
    settings = [line.partition("=")[2] for line in lines if line.startswith("Environment=")]
    return dict(each.split("=", 1) for each in settings)


def test_it_has_a_directory_in_which_the_list_of_plugins_is_kept(unit: Path) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(unit)
    directory = parser["Service"]["CacheDirectory"]
    assert environment(unit)["XDG_CACHE_HOME"] == f"/var/cache/{directory}"


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
    assert environment(UNIT)["OS_FACTSTORE_CONFIG_FILES"] == "/etc/factstore/factstore.conf"
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
    monkeypatch.setenv("HOME", "/proc")  # as for the unit, nothing can be written there
    (cache := tmp_path / "cache").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    api = ApiProcess(config, port, tmp_path / "api.log")
    api.start()
    try:
        api.wait_ready()
        assert systemd.recv(1000).startswith(b"READY=1")
        # stevedore keeps nothing for a Python below /tmp, which it takes for one of Ansible.
        assert any(cache.rglob("*")) or sys.executable.startswith("/tmp")
        old = api.workers()
        api.child.send_signal(signal.SIGHUP)
        eventually(lambda: gone(old))
        assert api.child.running
        api.wait_ready()
        assert api.child.terminate(float(service["TimeoutStopSec"])) == 0
    finally:
        api.kill()
        systemd.close()


def test_packages_create_the_user_and_the_directories_that_it_needs(tmp_path: Path) -> None:
    configs = UNIT.parents[1]
    users = configs / "sysusers.d" / "factstore-api.conf"
    directories = configs / "tmpfiles.d" / "factstore-api.conf"
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    user = parser["Service"]["User"]
    assert f"u {user} " in users.read_text()
    if os.geteuid():
        return  # only root can give files to others
    (tmp_path / "etc").mkdir()
    root = f"--root={tmp_path}"
    subprocess.run(["systemd-sysusers", root, users], check=True, capture_output=True)
    subprocess.run(["systemd-tmpfiles", root, "--create", directories], check=True)
    created = (tmp_path / "etc" / "passwd").read_text()
    number = int(created.partition(f"{user}:x:")[2].partition(":")[0])
    for name, owner, mode in (
        ("etc/factstore", 0, 0o750),
        ("etc/factstore/sealing-keys", number, 0o700),
        ("var/lib/factstore/agents", number, 0o755),
        ("var/log/factstore", number, 0o750),
    ):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (owner, mode)


def test_it_gives_a_stopping_service_the_time_that_it_takes() -> None:
    from factstore.conf.api import API_OPTS

    defaults = {option.name: option.default for option in API_OPTS}
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    assert parser.getint("Service", "TimeoutStopSec") > defaults["drain_seconds"]
    assert parser.getint("Service", "LimitNOFILE") > defaults["connections"]
