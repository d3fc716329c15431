"""The guide about tokens does what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from factstore.cmd.children.keystone import KeystoneServer
from tests.calling import fresh_stack, refused
from tests.docs.pages import ROOT, code
from tests.eventually import eventually
from tests.examples.following import Program
from tests.keystone.conftest import Login, with_token
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


@pytest.mark.parametrize("client", ["follow.sh", "poll.sh"])
def test_a_client_of_the_watch_gets_its_tokens_from_a_command(
    keystone: KeystoneServer, server: ApiServer, login: Login, tmp_path: Path, client: str
) -> None:
    owner, stack = login("owner"), f"/v1/stacks/{fresh_stack()}"
    owner.put(f"{stack}/facts/a", 1)
    keystone.accounts.write_openrc(tmp_path / "openrc", "owner")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    program = Program(
        client,
        [
            "bash",
            "-c",
            f". {tmp_path}/openrc; exec {ROOT}/examples/watch/{client} {server.url}{stack} $0",
        ],
        {"TOKEN_FROM": "factstore token", "PATH": path},
        tmp_path / client,
    )
    program.start()
    try:
        eventually(lambda: program.lines() and program.facts() == {"a": 1}, 30)
        owner.put(f"{stack}/facts/b", 2)
        eventually(lambda: program.facts() == {"a": 1, "b": 2}, 30)
    finally:
        program.kill()
    assert program.errors() == ""
