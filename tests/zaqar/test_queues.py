"""Events in the queues of a real Zaqar, which a real Keystone protects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.session import Session

from bench.zaqar import Zaqar
from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import free_port
from tests.eventually import eventually
from tests.http import Caller, fresh_stack
from tests.service import ApiServer

# Zaqar's new policies want scopes that the owner of a queue does not have.
OLD_POLICIES = {"enforce_new_defaults": "false", "enforce_scope": "false"}


@pytest.fixture(scope="module")
def zaqar(keystone: KeystoneServer) -> Iterator[Zaqar]:
    options = {
        "DEFAULT": {"auth_strategy": "keystone"},
        "keystone_authtoken": {
            **keystone.accounts.authtoken_options(),
            "service_type": "messaging",
        },
        "oslo_policy": OLD_POLICIES,
    }
    with Zaqar(options) as server:
        yield server


@pytest.fixture(scope="module")
def api(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    directory = tmp_path_factory.mktemp("api")
    with ApiServer([etcd.endpoint], directory, auth="keystone", keystone=keystone) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def notifier(
    etcd: EtcdServer,
    keystone: KeystoneServer,
    api: ApiServer,
    zaqar: Zaqar,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[NotifierProcess]:
    directory: Path = tmp_path_factory.mktemp("notifier")
    port, config = free_port(), directory / "factstore.conf"
    write_options(
        config,
        {
            "DEFAULT": {"auth_strategy": "keystone"},
            "etcd": {"endpoints": etcd.endpoint},
            "sealing": {"key_repository": str(api.sealing_keys)},
            "keystone_authtoken": keystone.accounts.authtoken_options(),
            "notify": {"port": port, "zaqar_endpoint": zaqar.url},
        },
    )
    process = NotifierProcess([config], port, directory / "notify.log")
    process.start()
    try:
        process.wait_ready(90)
        yield process
        assert "Traceback" not in process.log_path.read_text()
    finally:
        process.kill()


@pytest.fixture
def owner(api: ApiServer, keystone: KeystoneServer) -> Iterator[Caller]:
    with Caller(api.url, {"X-Auth-Token": keystone.accounts.issue("owner")}) as caller:
        yield caller


def new_trust(keystone: KeystoneServer, persona: str) -> str:
    """Return a trust with which the service's user may act for a persona."""
    accounts = keystone.accounts
    session: Session = accounts.session(persona)
    body = {
        "trustor_user_id": accounts.user_id(persona),
        "trustee_user_id": accounts.user_id("service"),
        "project_id": accounts.project_id(persona),
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    answer = session.post(f"{accounts.auth_url}/OS-TRUST/trusts", json={"trust": body})
    trust: str = answer.json()["trust"]["id"]
    return trust


def subscribe(owner: Caller, stack: str, target: str) -> str:
    """Return the id of a new subscription."""
    answer = owner.post("/v1/subscriptions", json={"target": target, "stacks": [stack]})
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "active"
    identifier: str = answer.json()["id"]
    return identifier


def messages(zaqar: Zaqar, token: str, queue: str) -> list[dict[str, Any]]:
    """Return the bodies of the messages in a queue."""
    headers = {"Client-ID": str(uuid.uuid4()), "X-Auth-Token": token}
    with Caller(zaqar.url, headers) as caller:
        answer = caller.get(f"/v2/queues/{queue}/messages?limit=20")
        assert answer.status_code == 200, answer.text
        return [message["body"] for message in answer.json()["messages"]]


def last_error(owner: Caller, subscription: str) -> str | None:
    delivery = owner.get(f"/v1/subscriptions/{subscription}").json()["delivery"]
    error: str | None = delivery["last_error"]
    return error


def test_events_arrive_in_the_queue_of_a_project_that_permits_it(
    zaqar: Zaqar, owner: Caller, keystone: KeystoneServer
) -> None:
    accounts, stack = keystone.accounts, fresh_stack()
    subscription = subscribe(owner, stack, "zaqar:?queue_name=changes&ttl=600")
    for number in range(3):
        owner.put(f"/v1/stacks/{stack}/facts/f", number).raise_for_status()
    error = eventually(lambda: last_error(owner, subscription))
    assert "the service's user a role in the project" in error
    accounts.session("admin").put(
        f"{accounts.auth_url}/projects/{accounts.project_id('owner')}/users/"
        f"{accounts.user_id('service')}/roles/{role(keystone, 'member')}"
    )
    token = accounts.issue("owner")
    found = eventually(lambda: len(m := messages(zaqar, token, "changes")) == 3 and m)
    values = [event["data"]["changes"][0]["fact"]["value"] for event in found]
    assert values == [0, 1, 2]
    assert found[0]["id"] == f"{subscription}.{found[0]['data']['cursor']}"
    other = accounts.issue("outsider")
    assert messages(zaqar, other, "changes") == []


def role(keystone: KeystoneServer, name: str) -> str:
    accounts = keystone.accounts
    roles = accounts.session("admin").get(f"{accounts.auth_url}/roles?name={name}").json()
    identifier: str = roles["roles"][0]["id"]
    return identifier


def test_events_are_posted_with_a_trust_of_the_same_project_only(
    zaqar: Zaqar, owner: Caller, keystone: KeystoneServer
) -> None:
    stack = fresh_stack()
    own, foreign = new_trust(keystone, "owner"), new_trust(keystone, "outsider")
    subscribe(owner, stack, f"zaqar:?queue_name=trusted&trust_id={own}")
    refused = subscribe(owner, stack, f"zaqar:?queue_name=trusted&trust_id={foreign}")
    owner.put(f"/v1/stacks/{stack}/facts/f", 1).raise_for_status()
    token = keystone.accounts.issue("owner")
    eventually(lambda: len(messages(zaqar, token, "trusted")) == 1)
    error = eventually(lambda: last_error(owner, refused))
    assert error == "the trust is not of the project of the subscription"
    assert messages(zaqar, keystone.accounts.issue("outsider"), "trusted") == []
