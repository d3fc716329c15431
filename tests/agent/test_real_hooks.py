"""The hooks of heat-agents, unmodified, and the example's hook for chef-solo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from factstore.client import ConfigurationRecord, Stack
from tests.agent.conftest import Make
from tests.agent.instance import Instance, environ
from tests.docs.pages import ROOT
from tests.eventually import eventually
from tests.heat_agents import install_hooks

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAAB3NzaC1yc2E\n-----END OPENSSH PRIVATE KEY-----"
# Chef is not packaged.  This reads what chef-solo reads: its settings, the attributes, the run list,
# the cookbooks' metadata and recipes, and data bags.
CHEF_SOLO = """\
#!/usr/bin/env python3
import json, os, pathlib, re, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
solo = dict(re.findall(r"(\\w+) '(.*)'", pathlib.Path(arguments["--config"]).read_text()))
node = json.loads(pathlib.Path(arguments["--json-attributes"]).read_text())
for item in node.pop("run_list"):
    cookbook = re.fullmatch(r"recipe\\[(\\w+)\\]", item)[1]
    directory = pathlib.Path(solo["cookbook_path"], cookbook)
    assert f"name '{cookbook}'" in (directory / "metadata.rb").read_text()
    bag, name, field = (directory / "recipes/default.rb").read_text().split()
    item = json.loads(pathlib.Path(solo["data_bag_path"], bag, f"{name}.json").read_text())
    assert item["id"] == name
    print("Converging", cookbook, item[field], sorted(node))
    pathlib.Path(os.environ["heat_outputs_path"] + ".url").write_text(f"http://{item[field]}")
"""
SSH = """\
#!/bin/sh
key=$2
[ "$(cat $key)" = "$(cat DIR/key)" ] && [ "$(stat -c %a $key)" = 600 ] || exit 255
for command; do :; done
exec sh -c "$command"
"""


def ended(stack: Stack, key: str) -> ConfigurationRecord:
    """Return a configuration once it has ended."""

    def look() -> ConfigurationRecord | None:
        found = stack.configuration("c1", key).show()
        return found if found and found.state in ("complete", "failed") else None

    found = eventually(look)
    assert found is not None
    return found


def start(instance: Instance, directory: Path, *groups: str, **env: str) -> None:
    """Start an agent with hooks of heat-agents, whose files are in a directory."""
    install_hooks(instance.directory / "heat", *groups)
    names = ("SCRIPT", "ANSIBLE", "PUPPET", "CHEF")
    own = {
        f"HEAT_{name}_{kind}": str(directory / f"{name}-{kind}")
        for name in names
        for kind in ("WORKING", "OUTPUTS")
    }
    instance.start({**environ(), **own, **env})


DEPLOY = "[deploy]\nhooks = DIR/heat\n[render bags]\nrenderer = data-bags\ndestination = DIR/bags\n"


def test_the_hooks_for_scripts_ansible_and_chef_solo_deploy(
    stack: Stack, make: Make, tmp_path: Path
) -> None:
    c1 = make("c1", DEPLOY)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("chef-solo", CHEF_SOLO), ("ssh", SSH.replace("DIR", str(tmp_path)))):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "key").write_text(KEY)
    repository = tmp_path / "web.git"
    (repository / "recipes").mkdir(parents=True)
    (repository / "metadata.rb").write_text("name 'web'\n")
    (repository / "recipes/default.rb").write_text("nodes head ip\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init", "-q", "-b", "v2"], ["add", "."], [*author, "commit", "-qm", "web"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    stack.put("secrets/deploy_key", KEY, sensitive=True, readers=["member/c1"])
    stack.put("nodes/head/ip", "10.0.0.5")
    (c1.directory / "heat").mkdir()
    shutil.copy(ROOT / "examples/chef-solo/chef-solo", c1.directory / "heat" / "chef-solo")
    stack.configuration("c1", "script").put(
        "script",
        config="#!/bin/sh\necho $port $tags; printf up > $heat_outputs_path.state; echo 50% >&2\n",
        inputs={"port": 80, "tags": ["a"]},
        outputs=["state", "missing"],
    )
    play = "- hosts: all\n  connection: local\n  gather_facts: false\n"
    play += f"  vars: {{ansible_python_interpreter: {sys.executable}}}\n  tasks:\n"
    play += "    - copy: {content: '{{ web_port }}', dest: '{{ heat_outputs_path }}.url'}\n"
    stack.configuration("c1", "ansible").put(
        "ansible", config=play, inputs={"web_port": 80}, outputs=["url"], depends_on=["c1/script"]
    )
    stack.configuration("c1", "broken").put(
        "ansible", config=play.replace("web_port", "undefined_variable"), depends_on=["c1/ansible"]
    )
    stack.configuration("c1", "web").put(
        "chef-solo",
        config='["recipe[web]"]',
        options={"cookbooks": {"web": f"git@host:{repository}#v2"}},
        inputs={"port": "80"},
        input_facts={"deploy_key": "secrets/deploy_key"},
        outputs=["url"],
    )
    env = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CHEF_DATA_BAGS": str(c1.directory / "bags"),
    }
    start(c1, tmp_path, "script", "ansible", **env)
    results: dict[str, Any] = {}
    for name in ("script", "ansible", "broken", "web"):
        found = ended(stack, name)
        assert found.result is not None
        results[name] = found.result
        assert (found.state == "failed") == (name == "broken"), (
            found.result.stdout,
            found.result.stderr,
        )
    script = results["script"]
    assert (script.stdout, script.outputs) == ('80 ["a"]\n', {"state": "up"})
    assert script.message == "50%"
    assert results["ansible"].outputs == {"url": "80"}
    assert "changed=1" in results["ansible"].stdout
    assert results["broken"].status_code == 2
    assert "undefined_variable" in results["broken"].stdout + results["broken"].stderr
    web = results["web"]
    assert web.outputs == {"url": "http://10.0.0.5"}
    assert web.stdout.startswith("Converging web 10.0.0.5 ['deploy_action'")
    assert "deploy_key" not in web.stdout
    assert KEY.splitlines()[1] not in json.dumps([str(each) for each in results.values()]) + c1.log
    left = [each for each in tmp_path.rglob("*") if each.is_file() and each.name != "key"]
    assert not [each for each in left if KEY.encode() in each.read_bytes()]
