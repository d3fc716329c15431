"""heat-agents' own 55-heat-config and heat-config-notify deploy configurations, unmodified."""

from __future__ import annotations

import configparser
import json
import os
import stat
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.pages import code
from tests.heat_agents import heat_agents, install_hooks
from tests.http import fresh_stack
from tests.service import ApiServer
from tests.tools.conftest import Slurm
from tests.tools.running import ENVIRON, collect_once

SECRET = "hunter2-hunter2"


class Image:
    """An image with os-collect-config, os-refresh-config, os-apply-config and heat-agents.

    All of their files are below one directory instead of the root of a file system.
    """

    def __init__(self, root: Path, metadata_url: str) -> None:
        self.root = root
        scripts, bin_ = root / "orc/configure.d", root / "bin"
        templates = root / "templates"
        for each in (scripts, bin_, templates / "heat-config", root / "var/lib"):
            each.mkdir(parents=True)
        heat_config = heat_agents() / "heat-config"
        self._install(heat_config / "os-refresh-config/configure.d/55-heat-config", scripts)
        self._install(heat_config / "bin/heat-config-notify", bin_)
        apply = scripts / "20-os-apply-config"
        apply.write_text(f"#!/bin/sh\nexec os-apply-config -t {templates} -o {root}/made\n")
        apply.chmod(0o755)
        source = heat_config / "os-apply-config/var/run/heat-config/heat-config"
        (templates / "heat-config/heat-config").write_text(source.read_text())
        (root / "made/heat-config").mkdir(parents=True)
        parser = configparser.ConfigParser(interpolation=None)
        parser["DEFAULT"] = {
            "command": f"os-refresh-config --lockfile {root}/lock",
            "collectors": "request",
            "cachedir": f"{root}/var/lib/os-collect-config",
            "backup_cachedir": f"{root}/run",
        }
        parser["request"] = {"metadata_url": metadata_url}
        with (root / "os-collect-config.conf").open("w") as file:
            parser.write(file)
        self.env = {
            **ENVIRON,
            "PATH": f"{bin_}:{ENVIRON['PATH']}",
            "HOME": str(root),
            "OS_REFRESH_CONFIG_BASE_DIR": str(root / "orc"),
            "HEAT_CONFIG_HOOKS": str(install_hooks(root / "hooks", "script")),
            "HEAT_SHELL_CONFIG": str(root / "made/heat-config/heat-config"),
            "HEAT_CONFIG_DEPLOYED": str(root / "deployed"),
            "HEAT_SCRIPT_WORKING": str(root / "working"),
            "HEAT_SCRIPT_OUTPUTS": str(root / "outputs"),
        }

    def _install(self, source: Path, directory: Path) -> None:
        target = directory / source.name
        target.write_text(source.read_text())
        target.chmod(target.stat().st_mode | stat.S_IXUSR)

    def collect(self) -> str:
        """Collect once, and run the command if the metadata has changed; return the log."""
        return collect_once(self.env)


WITH_HOOKS = pytest.mark.skipif(
    "FACTSTORE_HOOKS" not in os.environ, reason="make test-hooks runs it"
)


@pytest.mark.parametrize("credential", ["in the URL", pytest.param("in netrc", marks=WITH_HOOKS)])
def test_heat_config_deploys_and_its_signals_are_results(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Path, credential: str
) -> None:
    with ApiServer([etcd.endpoint], tmp_path / "api", auth="keystone", keystone=keystone) as server:
        slurm = Slurm(f"{server.url}/v1/stacks/{fresh_stack()}", keystone.accounts.issue("owner"))
        grant = slurm.issue(role="agent", member="c1")
        owner = requests.Session()
        owner.headers["X-Auth-Token"] = keystone.accounts.issue("owner")

        def put(key: str, **fields: object) -> None:
            owner.put(
                f"{slurm.url}/configurations/{key}", json=fields, timeout=60
            ).raise_for_status()

        def shown(key: str) -> dict[str, object]:
            found: dict[str, object] = owner.get(
                f"{slurm.url}/configurations/{key}", timeout=60
            ).json()
            return found

        slurm.put("inputs/db", SECRET, sensitive=True, readers=["member/c1"])
        log = tmp_path / "ran"
        put(
            "c1/second",
            group="script",
            config=f"#!/bin/sh\necho second $port $tags $deploy_action >> {log}\n"
            "printf up > $heat_outputs_path.is; echo $password; echo trouble >&2\n",
            inputs={"port": 5432, "tags": ["a"]},
            input_facts={"password": "inputs/db"},
            outputs=["is"],
            depends_on=["c1/first"],
        )
        put("c1/first", group="script", config=f"#!/bin/sh\necho first >> {log}\n")
        put("c1/broken", group="script", config="#!/bin/sh\nexit 3\n")
        # The member may not read this input, so that nothing could be deployed with it.
        slurm.put("inputs/others", SECRET, sensitive=True)
        put("c1/unreadable", group="script", input_facts={"x": "inputs/others"})
        (page_url,) = [
            line.partition("= ")[2]
            for block in code("how-to/heat-software-deployments.rst", "ini")
            for line in block.splitlines()
            if "include=deployments" in line
        ]
        query = page_url.partition("?")[2]
        if credential == "in netrc":
            url = f"{slurm.url}/context?{query}"
            netrc = tmp_path / "image/.netrc"
            netrc.parent.mkdir()
            netrc.touch(mode=0o600)
            netrc.write_text(f"machine 127.0.0.1 login {grant['id']} password {grant['secret']}\n")
        else:
            url = f"{slurm.url}/context?{query}_with_grant"
            url = url.replace("http://", f"http://{grant['id']}:{grant['secret']}@")
        image = Image(tmp_path / "image", url)
        image.collect()
        assert log.read_text().splitlines() == ["first"]  # the second one waited for it
        assert shown("c1/first")["state"] == "complete"
        assert shown("c1/broken")["state"] == "failed"
        image.collect()
        image.collect()
        assert log.read_text().splitlines() == ["first", 'second 5432 ["a"] CREATE']
        found = shown("c1/second")
        assert found["state"] == "complete"
        result = found["result"]
        assert isinstance(result, dict)
        assert (result["outputs"], result["status_code"]) == ({"is": "up"}, 0)
        assert (result["stdout"], result["stderr"]) == ("***\n", "trouble\n")
        fact = owner.get(f"{slurm.url}/facts/results/c1/second", timeout=60)
        assert SECRET not in fact.text
        # A changed definition has another id, so it runs again; an undeployed one runs in reverse.
        for key in ("first", "second"):
            put(
                f"c1/{key}",
                group="script",
                config=f"#!/bin/sh\necho {key} $deploy_action >> {log}\n",
                action="DELETE",
                depends_on=["c1/first"] if key == "second" else [],
            )
        image.collect()
        image.collect()
        assert log.read_text().splitlines()[2:] == ["second DELETE", "first DELETE"]
        assert shown("c1/unreadable")["state"] == "due"
        if credential == "in netrc":
            kept = "".join(each.read_text() for each in (tmp_path / "image/deployed").iterdir())
            assert grant["secret"] not in kept
        assert json.loads((tmp_path / "image/var/lib/os-collect-config/request.json").read_text())
