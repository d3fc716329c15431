"""The guides about tokens and credentials do what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1 import exceptions

from factstore.cmd.processes.accounts import ApplicationCredential
from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.pages import ROOT, code
from tests.eventually import eventually
from tests.examples.followers import Program
from tests.http import Caller, fresh_stack, refused
from tests.keystone.conftest import CACHE_SECONDS, Login, with_token
from tests.service import ApiServer

(LOGIN,) = code("how-to/tokens.rst", "shell")
RESTRICT, END = code("how-to/credentials.rst", "shell")[-2:]


def shell(script: str, directory: Path) -> str:
    """Return the output of a script that finds this environment's programs."""
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


SLURM = "/v1/stacks/slurm"
GROUP = {"group": "compute"}

# What the credential of the guide may do, in this order, and what it may not.
MAY: list[tuple[str, str, Any]] = [
    ("PUT", "facts/nodes/c1/ip", {"value": "10.0.0.11"}),
    ("PUT", "facts/nodes/c1/services/slurmd", {"value": "started"}),
    ("PUT", "facts/results/c1/install", {"value": "complete"}),
    ("GET", "facts/nodes/c1/ip", None),
    ("GET", "facts/nodes/head/ip?wait=0", None),
    ("GET", "facts/configs/c1/run", None),
    ("GET", "facts", None),
    ("GET", "facts?prefix=nodes", None),
    ("GET", "context", None),
    ("HEAD", "context", None),
    ("GET", "events", None),
    ("PUT", "members/c1", GROUP),
    ("PATCH", "members/c1", {"state": "ready"}),
    ("POST", "members/c1/heartbeat", {}),
    ("GET", "members", None),
    ("GET", "members/head", None),
    ("GET", "convergence", None),
    ("GET", "waiters/ready", None),
    ("POST", "waiters/ready/signal", {"status": "SUCCESS"}),
    ("DELETE", "facts/nodes/c1/ip", None),
    ("DELETE", "facts/results/c1/install", None),
    ("DELETE", "members/c1", None),
]
MAY_NOT: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PUT", "", {}),
    ("DELETE", "", None),
    ("PUT", "facts/nodes/head/ip", {"value": "x"}),
    ("DELETE", "facts/nodes/head/ip", None),
    ("PUT", "facts/nodes/c1", {"value": "x"}),
    ("PUT", "facts/nodes/c1x/ip", {"value": "x"}),
    ("PUT", "facts/results/head/x", {"value": "x"}),
    ("PUT", "facts/configs/c1/run", {"value": "x"}),
    ("PUT", "facts/shared", {"value": "x"}),
    ("GET", "facts/configs/head/run", None),
    ("HEAD", "facts/nodes/c1/ip", None),
    ("POST", "batch", {"operations": [{"put": {"path": "nodes/c1/ip", "value": "x"}}]}),
    ("PUT", "members/head", GROUP),
    ("PATCH", "members/head", {"state": "draining"}),
    ("POST", "members/head/heartbeat", {}),
    ("DELETE", "members/head", None),
    ("PUT", "waiters/ready", {"success": {"signals": 9}}),
    ("DELETE", "waiters/ready", None),
    ("GET", "grants", None),
    ("POST", "grants", {"role": "reader"}),
]


@pytest.fixture
def slurm(login: Login) -> Iterator[Caller]:
    """The owner of the guide's stack, which has a head."""
    owner = login("owner")
    owner.put(f"{SLURM}/facts/nodes/head/ip", "10.0.0.5").raise_for_status()
    for name in ("c1", "head"):
        owner.put(f"{SLURM}/facts/configs/{name}/run", "later").raise_for_status()
    owner.put(f"{SLURM}/members/head", json={"group": "head", "ttl": 600}).raise_for_status()
    owner.put(f"{SLURM}/waiters/ready", json={"success": {"signals": 2}}).raise_for_status()
    yield owner
    owner.delete(SLURM).raise_for_status()


def restricted(keystone: KeystoneServer, directory: Path) -> ApplicationCredential:
    """The application credential that the guide makes."""
    asked = shell(f'openstack() {{ echo "$@"; }}\n{RESTRICT}', directory).split()
    assert asked[:3] == ["application", "credential", "create"]
    role = asked[asked.index("--role") + 1]
    rules = json.loads((directory / asked[asked.index("--access-rules") + 1]).read_text())
    return keystone.accounts.application_credential(
        "owner", fresh_stack(), access_rules=rules, roles=[role]
    )


def test_the_restricted_credential_allows_the_requests_of_the_guide_and_no_others(
    keystone: KeystoneServer, server: ApiServer, slurm: Caller, tmp_path: Path
) -> None:
    token = keystone.accounts.issue_with(restricted(keystone, tmp_path))
    with with_token(server, token) as agent:

        def call(method: str, path: str, body: Any) -> requests.Response:
            more = {} if body is None else {"json": body}
            return agent(method, f"{SLURM}/{path}" if path else SLURM, **more)

        for method, path, body in MAY:
            answer = call(method, path, body)
            assert answer.ok, (method, path, answer.text)
        before = [slurm.get(f"{SLURM}/{kind}").json()[kind] for kind in ("facts", "members")]
        for method, path, body in MAY_NOT:
            answer = call(method, path, body)
            assert answer.status_code == HTTPStatus.UNAUTHORIZED, (method, path)
        after = [slurm.get(f"{SLURM}/{kind}").json()[kind] for kind in ("facts", "members")]
        assert after == before
        refused(agent.get("/v1/stacks/other/facts"), "401 unauthorized")
        refused(agent.get("/v1/stacks"), "401 unauthorized")


def test_every_rule_of_the_guide_is_needed(tmp_path: Path) -> None:
    shell(f"openstack() {{ :; }}\n{RESTRICT}", tmp_path)
    rules = json.loads((tmp_path / "rules.json").read_text())

    def allows(rule: dict[str, str], method: str, path: str) -> bool:
        pattern = re.escape(rule["path"]).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
        target = f"{SLURM}/{path}".partition("?")[0]
        return rule["method"] == method and re.fullmatch(pattern, target) is not None

    for rule in rules:
        assert rule["service"] == "contextualization"
        assert any(allows(rule, method, path) for method, path, _ in MAY), rule


def test_access_rules_have_the_limits_that_the_guide_states(
    keystone: KeystoneServer, server: ApiServer, slurm: Caller, tmp_path: Path
) -> None:
    token = keystone.accounts.issue_with(restricted(keystone, tmp_path))
    with with_token(server, token) as agent:
        assert "configs/head/run" in agent.get(f"{SLURM}/facts").text
        assert agent.get(f"{SLURM}/context").json()["facts"]["configs"]["head"]
        parameter = {"value": 1, "kind": "parameter"}
        assert agent.put(f"{SLURM}/facts/nodes/c1/size", json=parameter).ok
        assert agent.put(f"{SLURM}/members/c1", json={"group": "head", "ttl": 60}).ok


def test_a_credential_that_was_deleted_is_refused_when_the_cache_forgets_its_token(
    keystone: KeystoneServer, server: ApiServer, slurm: Caller, tmp_path: Path
) -> None:
    assert END.startswith("openstack application credential delete ")
    credential = restricted(keystone, tmp_path)
    token = keystone.accounts.issue_with(credential)
    with with_token(server, token) as agent:
        assert agent.get(f"{SLURM}/context").ok
        keystone.accounts.delete_application_credential("owner", credential)
        eventually(
            lambda: agent.get(f"{SLURM}/context").status_code == HTTPStatus.UNAUTHORIZED,
            CACHE_SECONDS + 10,
        )
        refused(agent.put(f"{SLURM}/facts/nodes/c1/ip", "late"), "401 unauthorized")
    with pytest.raises(exceptions.NotFound):
        keystone.accounts.issue_with(credential)


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
        eventually(lambda: program.lines() and program.facts() == {"a": 1})
        owner.put(f"{stack}/facts/b", 2)
        eventually(lambda: program.facts() == {"a": 1, "b": 2})
    finally:
        program.kill()
    assert program.errors() == ""
