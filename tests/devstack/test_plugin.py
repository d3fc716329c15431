"""The devstack plugin, run by bash with devstack's functions replaced by ones that record."""

from __future__ import annotations

import configparser
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.cmd.processes.process import Child
from factstore.keys.repository import Repository
from factstore.wsgi import configuration
from factstore.wsgi.concurrency import blocking
from factstore.wsgi.ops import logs
from tests.eventually import eventually
from tests.functional.test_members import heartbeat, join
from tests.http import Caller
from tests.proxies.serving import apache
from tests.saturation import saturated
from tests.service import ApiServer

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

STACK = ("stack pre-install", "stack install", "stack post-config", "stack extra")


class Devstack:
    """A devstack that runs phases of the plugin, and the recorded result."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.conf_dir = work / "etc"
        (work / "sites").mkdir()
        (work / "dest").mkdir()
        (work / "dest" / "factstore").symlink_to(CHECKOUT)

    def run(self, *phases: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run phases as stack.sh does, in one shell."""
        plugin = "$FACTSTORE_DIR/devstack/plugin.sh"
        script = [f"source {HERE}/stubs.sh", "source $DEST/factstore/devstack/settings"]
        script += [f"source {plugin} {phase}" for phase in phases]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "WORK": str(self.work)}
        env |= {"PYTHON": sys.executable, "FACTSTORE_CONF_DIR": str(self.conf_dir), **variables}
        return subprocess.run(
            ["bash", "-e", "-c", "\n".join(script)], env=env, capture_output=True, text=True
        )

    def run_well(self, *phases: str, **variables: str) -> None:
        done = self.run(*phases, **variables)
        assert done.returncode == 0, done.stderr

    @property
    def calls(self) -> list[str]:
        file = self.work / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def names(self) -> list[str]:
        return [call.split()[0] for call in self.calls]

    def files(self) -> dict[str, str]:
        found = [*self.conf_dir.rglob("*"), *(self.work / "sites").iterdir()]
        return {str(path): path.read_text() for path in found if path.is_file()}

    @property
    def site(self) -> Path:
        return self.work / "sites" / "factstore-api.conf"


@pytest.fixture
def devstack(tmp_path: Path) -> Devstack:
    return Devstack(tmp_path)


class Stacked(Devstack):
    """A devstack with Heat, stacked twice, and what the first time left; for tests that only read."""

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        self.heat_conf = work / "heat.conf"
        self.heat_conf.write_text(
            "[DEFAULT]\nplugin_dirs = /usr/lib/heat\n\n[other]\nplugin_dirs = /other\n"
        )
        heat = {"ENABLED_SERVICES": "keystone,h-eng", "FACTSTORE_HEAT_CONF": str(self.heat_conf)}
        self.run_well(*STACK, **heat)
        self.first_calls, self.first_names = self.calls, self.names
        self.first_files, self.first_heat_conf = self.files(), self.heat_conf.read_text()
        self.run_well(*STACK, **heat)


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Stacked:
    return Stacked(tmp_path_factory.mktemp("stacked"))


def test_stacking_installs_then_configures_then_registers_then_starts(stacked: Stacked) -> None:
    assert stacked.first_names == [
        "setup_develop",
        "configure_keystone_authtoken_middleware",
        "factstore",
        "enable_apache_site",
        "restart_apache_server",
        "create_service_user",
        "get_or_create_service",
        "get_or_create_endpoint",
        "run_process",
        "wait_for_service",
        "run_process",
    ]


@pytest.mark.parametrize(
    ("phase", "names"),
    [
        ("stack pre-install", []),
        ("stack install", ["setup_develop"]),
        ("stack extra", ["run_process", "wait_for_service", "run_process"]),
        ("stack test-config", []),
        ("unstack", ["stop_process", "stop_process"]),
        ("clean", ["disable_apache_site"]),
    ],
)
def test_a_phase_does_its_own_part_only(devstack: Devstack, phase: str, names: list[str]) -> None:
    devstack.run_well(phase)
    assert devstack.names == names


def test_the_service_is_registered_under_its_type_with_one_url(stacked: Stacked) -> None:
    assert "create_service_user factstore" in stacked.first_calls
    assert "get_or_create_service factstore contextualization Facts of software stacks" in (
        stacked.first_calls
    )
    assert (
        "get_or_create_endpoint contextualization RegionOne http://192.0.2.10/contextualization"
        in stacked.first_calls
    )


def test_the_written_configuration_is_one_that_factstore_reads(stacked: Stacked) -> None:
    conf = configuration.read(
        [str(stacked.conf_dir / "factstore.conf")], register_more=logs.register
    )
    assert conf.auth_strategy == "keystone"
    assert conf.etcd.endpoints == ["http://192.0.2.10:2379"]
    assert conf.etcd.compaction_window == 600
    assert (conf.api.host, conf.api.port) == ("127.0.0.1", 8796)
    assert (conf.api.workers, conf.api.connections) == (2, 50)
    assert conf.debug is True


def test_sealing_keys_are_made_once_where_the_service_looks_for_them(stacked: Stacked) -> None:
    conf = configuration.read([str(stacked.conf_dir / "factstore.conf")])
    repository = Path(conf.sealing.key_repository)
    assert [key.number for key in Repository(repository).read_keys()] == [1, 0]
    made = {
        file: text for file, text in stacked.first_files.items() if repository in Path(file).parents
    }
    assert len(made) == len(["0", "1", ".lock"])
    assert made.items() <= stacked.files().items()


def test_tokens_are_validated_for_our_service_type(stacked: Stacked) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(stacked.conf_dir / "factstore.conf")
    authtoken = parser["keystone_authtoken"]
    assert authtoken["username"] == "factstore"
    assert authtoken["service_type"] == "contextualization"
    assert authtoken.getboolean("service_token_roles_required")


def test_the_commands_are_those_of_the_systemd_units(stacked: Stacked) -> None:
    conf = stacked.conf_dir / "factstore.conf"
    for name in "factstore-api", "factstore-notify":
        started = f"run_process {name} /usr/local/bin/{name} --config-file {conf}"
        assert started in stacked.first_calls
        unit = (CHECKOUT / f"etc/systemd/{name}.service").read_text()
        assert f"ExecStart=/opt/factstore/bin/{name}\n" in unit


def test_clients_that_wait_leave_room_for_heartbeats_behind_the_web_server(
    devstack: Devstack, etcd: EtcdServer, tmp_path: Path
) -> None:
    port, public = free_port(), free_port()
    variables = {"API_WORKERS": "1", "FACTSTORE_CONNECTIONS": "24", "FACTSTORE_PORT": str(port)}
    devstack.run_well("stack post-config", SERVICE_HOST="127.0.0.1", **variables)
    read = configparser.ConfigParser(interpolation=None)
    read.read(devstack.conf_dir / "factstore.conf")
    options = {
        "api": {"connections": read["api"]["connections"]},
        "oslo_middleware": dict(read["oslo_middleware"]),
    }
    modules = (devstack.work / "modules").read_text().split()
    web_server = Child("apache")
    with ApiServer([etcd.endpoint], tmp_path / "api", options=options, port=port):
        web_server.start(
            apache(tmp_path, public, devstack.site, modules), log_path=tmp_path / "apache.log"
        )
        try:
            url, prefix = f"http://127.0.0.1:{public}", "/contextualization"
            eventually(lambda: listens(public))
            with saturated(url, "/v1/stacks/s", prefix) as admitted, Caller(url) as api:
                assert admitted == blocking(24)
                stack = f"{prefix}/v1/stacks/s"
                join(api, stack)
                heartbeat(api, stack)
                api.put(f"{stack}/facts/a", 1).raise_for_status()
                (version,) = api.get(f"{prefix}/v1").json()["versions"]
                assert version["links"][0]["href"] == f"http://127.0.0.1{prefix}/v1/"
        finally:
            web_server.kill()


def listens(port: int) -> bool:
    """Return True if a server listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_second_run_writes_the_same_files(stacked: Stacked) -> None:
    assert stacked.files() == stacked.first_files


def test_unstacking_and_cleaning_leave_nothing_behind(devstack: Devstack) -> None:
    devstack.run_well(*STACK)
    assert len(devstack.files()) == 2 + len(["0", "1", ".lock"])
    devstack.run_well("unstack", "clean")
    assert devstack.files() == {}
    assert not devstack.conf_dir.exists()
    started = {call.split()[1] for call in devstack.calls if call.startswith("run_process")}
    stopped = {call.split()[1] for call in devstack.calls if call.startswith("stop_process")}
    assert started == stopped
    assert {"enable_apache_site factstore-api", "disable_apache_site factstore-api"} <= set(
        devstack.calls
    )


def test_cleaning_before_stacking_succeeds(devstack: Devstack) -> None:
    devstack.run_well("unstack", "clean")


def test_a_disabled_service_is_left_alone(devstack: Devstack) -> None:
    devstack.run_well(*STACK, "unstack", "clean", DISABLED_SERVICES="factstore-api")
    assert devstack.calls == []


def test_without_keystone_and_heat_it_is_only_configured_with_another_etcd_if_one_is_named(
    devstack: Devstack,
) -> None:
    devstack.run_well(
        "stack post-config",
        ENABLED_SERVICES="",
        FACTSTORE_HEAT_CONF=str(devstack.work / "heat.conf"),
        FACTSTORE_ETCD_ENDPOINTS="https://a:2379,https://b:2379",
        FACTSTORE_COMPACTION_WINDOW="0",
    )
    assert devstack.names == [
        "configure_keystone_authtoken_middleware",
        "factstore",
        "enable_apache_site",
        "restart_apache_server",
    ]
    assert not (devstack.work / "heat.conf").exists()
    conf = configuration.read(
        [str(devstack.conf_dir / "factstore.conf")], register_more=logs.register
    )
    assert conf.etcd.endpoints == ["https://a:2379", "https://b:2379"]
    assert conf.etcd.compaction_window == 0


def test_an_api_that_does_not_get_healthy_stops_the_run(devstack: Devstack) -> None:
    done = devstack.run("stack extra", NEVER_HEALTHY="yes")
    assert done.returncode == 1
    assert devstack.names[-1] == "die"


def test_the_settings_keep_values_that_were_set_before(devstack: Devstack) -> None:
    devstack.run_well("stack extra", FACTSTORE_URL="https://facts.example.org")
    assert "wait_for_service 60 https://facts.example.org/healthcheck" in devstack.calls


def test_the_resource_types_are_added_to_the_plugin_folders_of_heat(stacked: Stacked) -> None:
    for text in stacked.first_heat_conf, stacked.heat_conf.read_text():
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        known, ours = parser["DEFAULT"]["plugin_dirs"].split(",")
        assert known == "/usr/lib/heat"
        assert (Path(ours) / "factstore_resources.py").exists()
        assert parser["other"]["plugin_dirs"] == "/other"
