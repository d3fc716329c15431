"""The private Keystone: real tokens and persistent state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1 import exceptions

from factstore.cmd.processes.keystone import KeystoneMissing, KeystoneServer, find_keystone
from factstore.cmd.processes.process import ChildError
from tests.conftest import serving_keystone
from tests.eventually import eventually
from tests.processes import gone

TOKEN_COMMAND = f"{sys.executable} -m factstore.cmd.main token"
VALIDATE = {"OpenStack-Identity-Access-Rules": "1"}


@pytest.fixture(scope="module")
def own_keystone(
    keystone_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeystoneServer]:
    """A Keystone that these tests change and restart; the last one stops it."""
    yield from serving_keystone(keystone_state, tmp_path_factory.mktemp("own") / "keystone")


def validated(keystone: KeystoneServer, token: str) -> dict[str, Any]:
    """Return the service user's view of ``token``; raise NotFound if it is not valid."""
    session = keystone.accounts.session("service")
    answer = session.get(
        f"{keystone.auth_url}/auth/tokens", headers={"X-Subject-Token": token, **VALIDATE}
    )
    found: dict[str, Any] = answer.json()["token"]
    return found


def roles(keystone: KeystoneServer, persona: str) -> set[str]:
    token = validated(keystone, keystone.accounts.issue(persona))
    return {role["name"] for role in token["roles"]}


def test_every_persona_has_the_roles_it_is_named_for(keystone: KeystoneServer) -> None:
    assert roles(keystone, "owner") == {"member", "reader"}
    assert roles(keystone, "reader") == {"reader"}
    assert roles(keystone, "outsider") == {"member", "reader"}
    assert {"admin", "service"} <= roles(keystone, "service")
    assert "admin" in roles(keystone, "admin")


def test_owner_and_reader_share_a_project_and_the_outsider_does_not(
    keystone: KeystoneServer,
) -> None:
    accounts = keystone.accounts
    assert accounts.project_id("owner") == accounts.project_id("reader")
    assert accounts.project_id("owner") != accounts.project_id("outsider")
    assert accounts.user_id("owner") != accounts.user_id("reader")


def test_a_revoked_token_is_refused(keystone: KeystoneServer) -> None:
    token = keystone.accounts.issue("owner")
    assert validated(keystone, token)
    keystone.accounts.revoke(token)
    with pytest.raises(exceptions.NotFound):
        validated(keystone, token)


def test_an_application_credential_carries_its_access_rules(keystone: KeystoneServer) -> None:
    rule = {"service": "contextualization", "method": "GET", "path": "/v1/stacks/demo/context"}
    credential = keystone.accounts.application_credential("owner", "agent", access_rules=[rule])
    token = validated(keystone, keystone.accounts.issue_with(credential))
    assert token["application_credential"]["access_rules"][0].items() >= rule.items()


def test_the_catalogue_follows_the_service(own_keystone: KeystoneServer) -> None:
    for url in ("http://127.0.0.1:1001", "http://127.0.0.1:1002"):
        own_keystone.accounts.provision(url)
        for interface in ("public", "internal", "admin"):
            session = own_keystone.accounts.session("owner")
            found = session.get_endpoint(service_type="contextualization", interface=interface)
            assert found == url


def test_a_restarted_keystone_has_the_same_address(own_keystone: KeystoneServer) -> None:
    workers = own_keystone.child.children()
    assert workers
    own_keystone.kill()
    eventually(lambda: gone(workers))
    own_keystone.start()
    own_keystone.wait_ready()
    assert own_keystone.accounts.issue("owner")


def test_another_start_finds_the_same_users_and_tokens_live_as_long_as_it_configures(
    own_keystone: KeystoneServer,
) -> None:
    before = own_keystone.accounts
    token, user = before.issue("owner"), before.user_id("owner")
    own_keystone.stop()
    brief = KeystoneServer(own_keystone.state_dir, token_expiration=60)
    try:
        brief.prepare()
        brief.start()
        brief.wait_ready()
        assert brief.auth_url == own_keystone.auth_url
        assert brief.accounts.user_id("owner") == user
        validated(brief, token)
        new = validated(brief, brief.accounts.issue("owner"))
        issued, expires = (datetime.fromisoformat(new[at]) for at in ("issued_at", "expires_at"))
        assert expires - issued <= timedelta(seconds=60)
    finally:
        brief.kill()


def test_an_openrc_file_logs_in_whatever_the_shell_held_before(
    keystone: KeystoneServer, tmp_path: Path
) -> None:
    openrc = tmp_path / "it's an openrc"
    keystone.accounts.write_openrc(openrc, "reader")
    assert openrc.stat().st_mode & 0o777 == 0o600
    printed = subprocess.run(
        ["sh", "-c", f'. "$0"; {TOKEN_COMMAND}', str(openrc)],
        env={"OS_TOKEN": "stale", "OS_PROJECT_ID": "stale", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    user = validated(keystone, printed.stdout.strip())["user"]
    assert user["name"] == "reader"


def test_without_credentials_there_is_a_message_and_no_token() -> None:
    refused = subprocess.run(
        ["sh", "-c", TOKEN_COMMAND],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("factstore token: no token: ")
    assert refused.stderr.count("\n") == 1


def test_passwords_are_for_the_owner_of_the_state_only(keystone_state: Path) -> None:
    for name in ("passwords.json", "keystone.conf", "fernet-keys/0", "fernet-keys/1"):
        assert (keystone_state / name).stat().st_mode & 0o777 == 0o600
    assert keystone_state.stat().st_mode & 0o777 == 0o700


def test_an_unprepared_directory_has_no_accounts(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="Keystone was not prepared"):
        _ = KeystoneServer(tmp_path / "empty").accounts


def test_an_interpreter_without_keystone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTSTORE_KEYSTONE_PYTHON", "/bin/false")
    with pytest.raises(KeystoneMissing, match=r"factstore\[server,keystone\]"):
        find_keystone()
