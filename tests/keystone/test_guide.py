"""The guide about tokens does what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

from factstore.cmd.children.keystone import KeystoneServer
from tests.calling import fresh_stack, refused
from tests.docs.pages import code
from tests.keystone.conftest import with_token
from tests.service import ApiServer

LOGIN, RESTRICT = code("how-to/tokens.rst", "shell")


def shell(script: str, directory: Path) -> str:
    """What a script prints that finds this environment's programs."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_openrc_file_and_one_command_give_a_token(
    keystone: KeystoneServer, server: ApiServer, tmp_path: Path
) -> None:
    keystone.accounts.write_openrc(tmp_path / "openrc", "owner")
    token = shell(LOGIN + '\necho "$TOKEN"', tmp_path).strip()
    with with_token(server, token) as owner:
        assert owner.get("/v1/stacks").status_code == HTTPStatus.OK


def test_the_restricted_credential_can_do_what_the_guide_says_and_no_more(
    keystone: KeystoneServer, server: ApiServer, tmp_path: Path
) -> None:
    asked = shell(f'openstack() {{ echo "$@"; }}\n{RESTRICT}', tmp_path).split()
    assert asked[:3] == ["application", "credential", "create"]
    role = asked[asked.index("--role") + 1]
    rules = json.loads((tmp_path / asked[asked.index("--access-rules") + 1]).read_text())
    credential = keystone.accounts.application_credential(
        "owner", fresh_stack(), access_rules=rules, roles=[role]
    )
    with with_token(server, keystone.accounts.issue_with(credential)) as agent:
        mine = "/v1/stacks/slurm/facts/nodes/c1/ip"
        assert agent.put(mine, "10.0.0.11").ok
        assert agent.get(mine).status_code == HTTPStatus.OK
        assert agent.get("/v1/stacks/slurm/events").status_code == HTTPStatus.OK
        refused(agent.put("/v1/stacks/slurm/facts/nodes/c2/ip", "x"), "401 unauthorized")
        refused(agent.get("/v1/stacks/other/facts"), "401 unauthorized")
        assert agent("HEAD", mine).status_code == HTTPStatus.UNAUTHORIZED
