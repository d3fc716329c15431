"""The plugin under devstack's phases, with real parts and the packages of an OpenStack release.

The Keystone, the clients and the libraries are those that the release's list of constraints names, and
the Heat is that of the release.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import free_port
from tests.eventually import eventually
from tests.heat.lab.server import HeatServer
from tests.memcached import Memcached

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
LISTS = os.environ.get("UPPER_CONSTRAINTS", "https://releases.openstack.org/constraints/upper")
RELEASES = os.environ.get("FACTSTORE_RELEASES", "2025.1 2026.1").split()
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Devstack:
    """A devstack below a directory."""

    heat: HeatServer

    def __init__(self, work: Path, release: str, etcd: EtcdServer, memcached: Memcached) -> None:
        self.work, self.port = work, free_port()
        for name in ("sites", "enabled", "dest", "run"):
            (work / name).mkdir()
        subprocess.run(
            ["git", "clone", "--quiet", str(CHECKOUT), str(work / "dest" / "factstore")], check=True
        )
        self.env = {
            "PATH": PATH,
            "HOME": os.environ["HOME"],  # with the configuration and the cache of pip
            "WORK": str(work),
            "PYTHON": sys.executable,
            "RELEASE": release,
            "CONSTRAINTS": LISTS,
            "SERVICE_HOST": f"127.0.0.1:{self.port}",
            "MEMCACHE_SERVERS": memcached.address,
            "FACTSTORE_ETCD_ENDPOINTS": etcd.endpoint,
            "FACTSTORE_CONF_DIR": str(work / "etc"),
            "FACTSTORE_PORT": str(free_port()),
            **{name: os.environ[name] for name in os.environ if name.startswith("PIP_")},
        }

    def bash(self, *lines: str) -> str:
        """Run lines of devstack in one shell, and return what they print."""
        script = [f"source {HERE}/devstack.sh", "source $DEST/factstore/devstack/settings", *lines]
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join(script)],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        logs = "\n".join(file.read_text() for file in self.work.glob("run/*.log"))
        assert done.returncode == 0, (done.stdout, done.stderr, logs)
        return done.stdout

    def phases(self, *phases: str) -> str:
        """Run phases as stack.sh does."""
        return self.bash(*(f"source $FACTSTORE_DIR/devstack/plugin.sh {each}" for each in phases))

    def openstack(self, *arguments: str) -> Any:
        """Run a command of OpenStackClient and return what it prints as JSON."""
        return json.loads(self.bash(f"openstack {' '.join(arguments)} -f json"))

    def pids(self) -> list[int]:
        """Return the processes that were started and are not stopped."""
        return [int(file.read_text()) for file in self.work.glob("run/*.pid")]


@pytest.fixture(scope="module", params=RELEASES)
def devstack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Devstack]:
    """A devstack with Keystone, which runs, and with etcd and memcached."""
    work = tmp_path_factory.mktemp("devstack")
    etcd, memcached = EtcdServer(work / "etcd"), Memcached(work)
    etcd.start()
    etcd.wait_ready()
    memcached.start()
    made = Devstack(work, request.param, etcd, memcached)
    heat = keystone = None
    try:
        made.bash("install_base", "install_heat")
        with pytest.MonkeyPatch.context() as patched:
            python = work / "data" / "venv" / "bin" / "python"
            patched.setenv("FACTSTORE_KEYSTONE_PYTHON", str(python))
            keystone = KeystoneServer(work / "keystone")
        keystone.prepare()
        keystone.start()
        keystone.wait_ready()
        made.env |= {
            "KEYSTONE_SERVICE_URI": keystone.auth_url,
            "OS_AUTH_URL": keystone.auth_url,
            "OS_USERNAME": "admin",
            "OS_PASSWORD": keystone.accounts.password("admin"),
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": "RegionOne",
            "OS_IDENTITY_API_VERSION": "3",
        }
        made.bash("openstack project create --domain default service -f value -c id")
        made.bash("openstack role create --or-show service -f value -c id")
        made.heat = heat = HeatServer(
            work / "heat",
            keystone,
            plugin_dirs=[],
            python=python,
            checkout=work / "dest" / "factstore",
        )
        made.env["FACTSTORE_HEAT_CONF"] = str(heat.conf)
        yield made
    finally:
        for pid in made.pids():
            os.kill(pid, signal.SIGTERM)
        for part in (heat, keystone, memcached, etcd):
            if part is not None:
                part.child.kill()


@pytest.mark.timeout(1800)
def test_stacked_service_answers_commands_and_unstacking_leaves_nothing(devstack: Devstack) -> None:
    devstack.phases("stack pre-install", "stack install", "stack post-config", "stack extra")
    url = f"http://127.0.0.1:{devstack.port}/contextualization"
    (listed,) = devstack.openstack("endpoint list --service contextualization")
    assert (listed["Interface"], listed["URL"], listed["Region"]) == ("public", url, "RegionOne")
    written = devstack.openstack("fact set slurm nodes/head/ip 10.0.0.5")
    found = devstack.openstack("fact get slurm nodes/head/ip")
    assert (found["value"], found["revision"]) == ("10.0.0.5", written["revision"])
    assert [each["Path"] for each in devstack.openstack("fact list slurm")] == ["nodes/head/ip"]
    devstack.bash("openstack fact set slurm secrets/db hidden --sensitive -f json")
    assert devstack.openstack("fact get slurm secrets/db")["value"] == "hidden"

    # Heat has read its configuration when it was started, after the plugin had changed that.
    plugins = devstack.work / "dest/factstore/factstore/heat/plugins"
    dirs = devstack.bash("iniget $FACTSTORE_HEAT_CONF DEFAULT plugin_dirs").strip().split(",")
    assert (len(dirs), dirs[1]) == (2, str(plugins))
    devstack.heat.start()
    devstack.heat.wait_ready()
    types = devstack.openstack("orchestration resource type list --filter name=OS::FactStore::")
    assert {each["Resource Type"] for each in types} == resource_types()
    template = devstack.work / "dest/factstore/examples/heat/web.yaml"
    servers = devstack.work / "servers.yaml"
    servers.write_text("resource_registry: {'OS::Nova::Server': 'Lab::Server'}")
    parameters = "--parameter image=debian --parameter flavor=small"
    devstack.bash(f"openstack stack create web -t {template} -e {servers} {parameters} --wait")
    assert devstack.openstack("fact get web nodes/web/services/nginx")["value"] == "started"
    shown = devstack.openstack("stack output show web ip")
    assert shown["output_value"] == devstack.openstack("fact get web nodes/web/ip")["value"]
    devstack.bash("openstack stack delete --yes --wait web")
    assert [each["Name"] for each in devstack.openstack("fact stack list")] == ["slurm"]
    devstack.heat.kill()

    # A second run of stack.sh begins with unstack.sh; the facts and the accounts are still there.
    devstack.phases("unstack")
    assert not devstack.pids() or devstack.pids() == [apache_pid(devstack)]
    devstack.phases("stack pre-install", "stack install", "stack post-config", "stack extra")
    assert len(devstack.openstack("endpoint list --service contextualization")) == 1
    assert devstack.openstack("fact get slurm secrets/db")["value"] == "hidden"
    for name in ("factstore-api", "factstore-notify"):
        log = (devstack.work / "run" / f"{name}.log").read_text()
        assert "Traceback" not in log
        assert "stacking" not in log, "the log has the password of the service"

    devstack.phases("unstack", "clean")
    assert not (devstack.work / "etc").exists()
    assert not list(devstack.work.glob("sites/*")) + list(devstack.work.glob("enabled/*"))
    eventually(lambda: devstack.pids() == [apache_pid(devstack)])


def resource_types() -> set[str]:
    """Return the resource types that the plugins have."""
    file = CHECKOUT / "factstore" / "heat" / "plugins" / "factstore_resources.py"
    return set(re.findall(r"OS::FactStore::\w+", file.read_text()))


def apache_pid(devstack: Devstack) -> int:
    return int((devstack.work / "run" / "apache.pid").read_text())
