"""Vendor data of Nova: a server with properties becomes a member, with the grant that it always had."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from tests.http import Caller, fresh_stack
from tests.service import ApiServer

VENDORDATA = "/v1/vendordata"
PROJECT = "none"  # of a service without authentication


def nova(stack: str | None, host: str = "c1", **properties: str) -> dict[str, Any]:
    """Return the body that Nova sends for a new server."""
    names = {} if stack is None else {"factstore_stack": stack, "factstore_group": "compute"}
    return {
        "project-id": PROJECT,
        "instance-id": str(uuid.uuid4()),
        "image-id": str(uuid.uuid4()),
        "user-data": "IyEvYmluL3NoCg==",
        "hostname": host,
        "metadata": {"owner": "me", **names, **properties},
        "boot-roles": "member,reader",
    }


def script(api: Caller, body: dict[str, Any]) -> str:
    """Return the script that the service answers."""
    answer = api.post(VENDORDATA, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.json()
    assert isinstance(text, str)
    return text


def token(text: str) -> str:
    """Return the grant in a script."""
    found = re.search(r"printf %s '([0-9a-f]{32}-[0-9a-f]{16}\.\S+)\n'", text)
    assert found is not None, text
    return found[1]


def option(text: str, name: str) -> str:
    """Return an option of the agent's configuration in a script."""
    found = re.search(rf"^{name} = (.*)$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


@pytest.fixture
def name(api: Caller) -> str:
    """A stack of the servers' project."""
    found = fresh_stack()
    api.put(f"/v1/stacks/{found}", json={}).raise_for_status()
    return found


def test_a_server_with_properties_gets_the_same_working_grant_each_time(
    api: Caller, name: str
) -> None:
    body = nova(name, host="c1.example")
    first, again = script(api, body), script(api, body)
    assert first == again
    assert first.startswith("#!/bin/sh\n")
    assert (option(first, "stack"), option(first, "group")) == (name, "compute")
    assert (option(first, "member"), option(first, "url")) == ("c1", api.url)
    offered = api.get("/v1/agent").headers["Factstore-Agent-Sha256"]
    assert f'URL = "{api.url}/v1/agent?sha256={offered}"' in first
    (listed,) = api.get(f"/v1/stacks/{name}/grants").json()["grants"]
    assert (listed["member"], listed["group"]) == ("c1", "compute")
    with Caller(api.url, headers={"Authorization": f"Bearer {token(first)}"}) as agent:
        mine = f"/v1/stacks/{name}/members/c1"
        assert agent.put(mine, json={"group": "compute", "ttl": 30}).status_code == 201
        assert agent.put(mine, json={"group": "other", "ttl": 30}).status_code == 403
        others = f"/v1/stacks/{name}/members/c2"
        assert agent.put(others, json={"group": "compute", "ttl": 30}).status_code == 403
    assert script(api, body) == first
    api.delete(f"/v1/stacks/{name}/grants/{listed['id']}").raise_for_status()
    assert token(script(api, body)) != token(first), "a grant that has leaked can be replaced"


def test_servers_with_the_same_host_name_are_two_members(api: Caller, name: str) -> None:
    one, other = nova(name), nova(name)
    assert option(script(api, one), "member") == "c1"
    assert option(script(api, other), "member") == f"c1-{other['instance-id'][:8]}"
    assert option(script(api, one), "member") == "c1"
    declared = nova(name, host="c3")
    api.put(
        f"/v1/stacks/{name}/members/node-3",
        json={"group": "compute", "declared": f"heat:{declared['instance-id']}"},
    ).raise_for_status()
    assert option(script(api, declared), "member") == "node-3"
    unit = nova(name, host="c4", factstore_instance_id="a-unit-of-heat")
    api.put(
        f"/v1/stacks/{name}/members/unit-4",
        json={"group": "compute", "declared": "heat:a-unit-of-heat"},
    ).raise_for_status()
    assert option(script(api, unit), "member") == "unit-4"
    assert option(script(api, unit), "instance_id") == "a-unit-of-heat"


def test_a_group_that_was_changed_is_that_of_the_same_grant(api: Caller, name: str) -> None:
    body = nova(name)
    first = script(api, body)
    body["metadata"]["factstore_group"] = "head"
    second = script(api, body)
    assert (option(second, "group"), token(second)) == ("head", token(first))


def test_a_server_without_properties_gets_nothing(api: Caller) -> None:
    for body in (
        nova(None),
        nova(None, factstore_instance_id="x"),
        {**nova(None), "metadata": None},
    ):
        answer = api.post(VENDORDATA, json=body)
        assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"factstore_stack": "missing-one"}, "no stack named"),
        ({"factstore_group": "a/b"}, "a/b"),
        ({"factstore_groups": "x"}, "of the server is unknown"),
        ({"factstore_instance_id": "x\n[service]\nurl = http://evil"}, "must be printable"),
    ],
)
def test_a_mistake_is_reported_on_the_console_of_the_server(
    api: Caller, server: ApiServer, name: str, change: dict[str, str], reason: str
) -> None:
    body = nova(name, **change)
    text = script(api, body)
    assert "this server does not become a member: " in text
    assert reason in text
    assert ">/dev/console" in text
    assert (
        f"server {body['instance-id']} of project none does not become"
        in server.log_path.read_text()
    )


def test_a_request_that_is_not_of_nova_is_refused(api: Caller, name: str) -> None:
    for wrong in ({"project-id": "../x"}, {"instance-id": None}, {"metadata": {"a": 1}}):
        assert api.post(VENDORDATA, json={**nova(name), **wrong}).status_code == 400
    later = {**nova(None), "added-by-a-later-nova": {}}
    assert api.post(VENDORDATA, json=later).status_code == 200
