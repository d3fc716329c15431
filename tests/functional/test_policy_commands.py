"""oslo.policy's own commands work with the rules of factstore."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from factstore.cmd.processes.api import write_options

OLD = "contextualization:stacks:get"
SAME = "contextualization:limits:get"


def test_the_commands_of_oslo_policy_read_the_rules_and_the_operators_file(tmp_path: Path) -> None:
    policy, config = tmp_path / "policy.yaml", tmp_path / "factstore.conf"
    policy.write_text(f'"{OLD}": "role:auditor"\n"{SAME}": "rule:project_reader"\n')
    write_options(config, {"oslo_policy": {"policy_file": str(policy)}})
    here = ["--config-file", str(config), "--namespace", "factstore"]
    upgraded = tmp_path / "upgraded.yaml"
    commands = {
        "oslopolicy-list-redundant": here,
        "oslopolicy-policy-generator": here,
        "oslopolicy-validator": here,
        "oslopolicy-policy-upgrade": [
            *("--namespace", "factstore", "--policy", str(policy)),
            *("--output-file", str(upgraded)),
        ],
    }
    running = {
        name: subprocess.Popen(
            [Path(sys.executable).with_name(name), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, arguments in commands.items()
    }
    printed = {}
    for name, process in running.items():
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, f"{name}: {output}{errors}"
        printed[name] = output
    redundant = printed["oslopolicy-list-redundant"]
    assert SAME in redundant
    assert OLD not in redundant
    assert f'"{OLD}": "role:auditor"' in printed["oslopolicy-policy-generator"]
    assert '"contextualization:stacks:put"' in printed["oslopolicy-policy-generator"]
    assert "auditor" in upgraded.read_text()
