"""Grants over HTTP: how one is said, and what its holder may write."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
import requests
from keystoneauth1 import adapter, loading

from tests.functional.conftest import SHOWN
from tests.grants import Held, encoded, issue
from tests.http import Caller, refused
from tests.raw_http import exchange, request_bytes

# How it is said


def test_a_grant_is_accepted_in_every_valid_spelling(
    api: Caller, granted: str, grant: Held
) -> None:
    pair = encoded(f"{grant.id}:{grant.secret}")
    for said in (
        f"Bearer {grant.token}",
        f"bearer {grant.token}",
        f"BEARER {grant.token}",
        f"Bearer   {grant.token}",
        f"  Bearer {grant.token}  ",
        f"Basic {pair}",
        f"basic {pair}",
        f"BASIC   {pair} ",
    ):
        raw = request_bytes("GET", f"{granted}/grants/{grant.id}", f"Authorization: {said}")
        answer = exchange(api.url, raw)
        assert (answer.status, answer.json()["id"]) == (HTTPStatus.OK, grant.id), said


def test_a_misspelt_grant_is_refused_and_not_echoed(api: Caller, granted: str, grant: Held) -> None:
    other = issue(api, granted)
    for said in (
        f"Bearer {grant.id}.{other.secret}",
        f"Bearer {grant.token}x",
        f"Bearer {grant.token[:-1]}",
        f"Bearer {grant.token.swapcase()}",
        f"Bearer {grant.id}.{grant.token}",
        f"Bearer {grant.token}, Bearer {grant.token}",
        f"Bearer {encoded(f'{grant.id}:{grant.secret}')}",
        f"Basic {grant.token}",
        f"Basic {encoded(f'{grant.id}:{other.secret}')}",
        f"Basic {encoded(f'{grant.id}:{grant.secret} ')}",
        f"Basic {encoded(f'grant:{grant.id}:{grant.secret}')}",
    ):
        answer = api.get(f"{granted}/facts/shared", headers={"Authorization": said})
        refused(answer, "401 unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
        assert grant.secret not in f"{answer.text}{answer.headers}"


def test_requests_and_urls_accept_a_grant_as_user_and_password(
    api: Caller, granted: str, grant: Held
) -> None:
    answer = api.get(f"{granted}/facts/shared", auth=(grant.id, grant.secret))
    assert answer.json()["value"] == SHOWN["shared"]
    inside = api.url.replace("http://", f"http://{grant.id}:{grant.secret}@")
    assert requests.get(f"{inside}{granted}/facts/shared", timeout=60).ok


def test_keystoneauth_accepts_a_grant_as_http_basic(api: Caller, granted: str, grant: Held) -> None:
    auth = loading.get_plugin_loader("http_basic").load_from_options(
        endpoint=api.url, username=grant.id, password=grant.secret
    )
    session = loading.session.Session().load_from_options(auth=auth)
    client = adapter.Adapter(session, service_type="contextualization", raise_exc=False)
    assert client.put(f"{granted}/facts/nodes/c1/x", json={"value": 1}).status_code == 201
    refused(client.put(f"{granted}/facts/nodes/c2/x", json={"value": 1}), "403 forbidden")
    session.session.close()


def test_public_pages_are_served_even_with_an_invalid_grant(api: Caller) -> None:
    junk = {"Authorization": "Bearer junk"}
    for path in ("/", "/v1", "/v1/", "/v1/agent", "/v1/openapi.json", "/healthcheck", "/metrics"):
        assert api.get(path, headers=junk).ok
    refused(api.get("/v1/stacks", headers=junk), "401 unauthorized")
    refused(api.get("/v1/nonsense", headers=junk), "401 unauthorized")


# What it writes


def test_an_agent_writes_its_own_facts_with_every_operation(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    by = f"grant:{grant.id}"
    since = api.get(f"{granted}/facts").json()["cursor"]
    member = agent.put(f"{granted}/members/c1", json={"group": "compute", "ttl": 600})
    assert (member.status_code, member.json()["updated_by"]) == (HTTPStatus.CREATED, by)
    fenced = {"Factstore-Generation": member.json()["generation"]}
    put = agent.put(f"{granted}/facts/nodes/c1/ip", 5, headers=fenced)
    assert put.json()["updated_by"] == by
    bound = agent.put(f"{granted}/facts/nodes/c1/up", json={"value": True, "member": "c1"})
    assert bound.json()["member"] == "c1"
    puts = [{"put": {"path": f"results/c1/r{n}", "value": n}} for n in range(60)]
    guards = [{"path": f"nodes/c1/none{n}", "absent": True} for n in range(40)]
    body = {"guards": guards, "operations": puts}
    assert agent.post(f"{granted}/batch", json=body, headers=fenced).ok  # as large as can be
    assert agent.delete(f"{granted}/facts/results/c1/r0").status_code == HTTPStatus.NO_CONTENT
    ready = agent("PATCH", f"{granted}/members/c1", json={"state": "ready"})
    assert (ready.json()["state"], ready.json()["updated_by"]) == ("ready", by)
    told = {"applied": since}
    assert agent.post(f"{granted}/members/c1/heartbeat", json=told).ok
    assert agent.delete(f"{granted}/members/c1?reason=done").ok
    page = api.get(f"{granted}/events?since={since}&wait=5").json()
    changes = [change for event in page["events"] for change in event["changes"]]
    assert {change["by"] for change in changes} == {by}
    assert "member.depart" in {change["type"] for change in changes}


REFUSED: list[tuple[str, str, Any]] = [
    ("PUT", "facts/nodes/c2/ip", {"value": "mine"}),
    ("PUT", "facts/nodes/c1", {"value": "mine"}),
    ("PUT", "facts/nodes/c1x/ip", {"value": "mine"}),
    ("PUT", "facts/nodes/C1/ip", {"value": "mine"}),
    ("PUT", "facts/configs/c1/a", {"value": "mine"}),
    ("PUT", "facts/shared", {"value": "mine"}),
    ("PUT", "facts/nodes/c1/ip", {"value": 1, "member": "c2"}),
    ("DELETE", "facts/nodes/c2/ip", None),
    ("DELETE", "facts/shared", None),
    ("POST", "batch", {"operations": [{"delete": {"path": "nodes/c2/ip"}}]}),
    (
        "POST",
        "batch",
        {
            "operations": [
                {"put": {"path": "nodes/c1/ip", "value": 1}},
                {"put": {"path": "nodes/c2/ip", "value": 1}},
            ]
        },
    ),
    (
        "POST",
        "batch",
        {
            "guards": [{"path": "configs/c2/a", "exists": True}],
            "operations": [{"put": {"path": "nodes/c1/ip", "value": 1}}],
        },
    ),
    ("PUT", "members/c2", {"group": "compute"}),
    ("PATCH", "members/c2", {"state": "draining"}),
    ("POST", "members/c2/heartbeat", {}),
    ("DELETE", "members/c2", None),
    ("PUT", "", {"description": "mine"}),
    ("DELETE", "", None),
    ("PUT", "waiters/w", {"success": {"signals": 1}}),
    ("DELETE", "waiters/w", None),
    ("GET", "grants", None),
    ("POST", "grants", {"role": "reader"}),
    ("POST", "grants", {"member": "c1"}),
]


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_an_agent_writes_no_other_facts(
    api: Caller, agent: Caller, granted: str, method: str, path: str, body: Any
) -> None:
    api.put(f"{granted}/members/c2", json={"group": "compute", "ttl": 600}).raise_for_status()
    api.put(f"{granted}/waiters/w", json={"success": {"signals": 2}}).raise_for_status()
    kinds = ("facts", "members", "waiters", "grants")
    before = [api.get(f"{granted}/{kind}").json()[kind] for kind in kinds]
    target = f"{granted}/{path}" if path else granted
    sent = {} if body is None else {"json": body}
    refused(agent(method, target, **sent), "403 forbidden")
    assert [api.get(f"{granted}/{kind}").json()[kind] for kind in kinds] == before


def test_a_text_body_does_not_bypass_the_rule(agent: Caller, granted: str) -> None:
    refused(agent.put(f"{granted}/facts/nodes/c2/ip", data=b"mine"), "403 forbidden")
    assert agent.put(f"{granted}/facts/nodes/c1/ip", data=b"mine").ok


def test_an_agent_never_touches_a_parameter_not_even_its_own(
    api: Caller, agent: Caller, granted: str
) -> None:
    given = {"value": 1, "kind": "parameter"}
    api.put(f"{granted}/facts/nodes/c1/size", json=given).raise_for_status()
    for answer in (
        agent.put(f"{granted}/facts/nodes/c1/size", 2),
        agent.put(f"{granted}/facts/nodes/c1/size", json=given),
        agent.put(f"{granted}/facts/nodes/c1/new", json=given),
        agent.put(f"{granted}/facts/nodes/c1/ip", json=given),
        agent.delete(f"{granted}/facts/nodes/c1/size"),
        agent.post(
            f"{granted}/batch", json={"operations": [{"delete": {"path": "nodes/c1/size"}}]}
        ),
    ):
        refused(answer, "403 parameter_protected")
    assert api.get(f"{granted}/facts/nodes/c1/size").json()["version"] == 1


def test_a_grant_for_a_group_lets_its_member_join_that_one_only(api: Caller, stack: str) -> None:
    with issue(api, stack, "c1", group="compute").caller(api.url) as agent:
        refused(agent.put(f"{stack}/members/c1", json={"group": "head"}), "403 forbidden")
        joined = agent.put(f"{stack}/members/c1", json={"group": "compute", "ttl": 600})
        generation = joined.json()["generation"]
        moved = {"group": "head", "generation": generation}
        refused(agent.put(f"{stack}/members/c1", json=moved), "403 forbidden")
    assert api.get(f"{stack}/members/c1").json()["group"] == "compute"


def test_an_agent_signals_and_a_reader_does_not(
    api: Caller, agent: Caller, reader: Caller, granted: str, grant: Held
) -> None:
    waiter = f"{granted}/waiters/w"
    api.put(waiter, json={"success": {"signals": 2}}).raise_for_status()
    assert agent.post(f"{waiter}/signal", json={"status": "SUCCESS", "id": "1"}).ok
    assert agent.put(f"{waiter}/signal", json={"Status": "SUCCESS", "UniqueId": "2"}).ok
    refused(reader.post(f"{waiter}/signal", json={"status": "SUCCESS"}), "403 forbidden")
    shown = reader.get(f"{waiter}?wait=10").json()
    assert shown["state"] == "met"
    assert {signal["by"] for signal in shown["signals"].values()} == {f"grant:{grant.id}"}


def test_keys_of_idempotency_are_a_holders_own(api: Caller, agent: Caller, granted: str) -> None:
    key = {"Idempotency-Key": "k"}
    first = agent.put(f"{granted}/facts/nodes/c1/k", 1, headers=key)
    assert agent.put(f"{granted}/facts/nodes/c1/k", 1, headers=key).json() == first.json()
    assert api.put(f"{granted}/facts/nodes/c1/k", 2, headers=key).json()["version"] == 2


def test_the_author_of_a_fact_is_the_grant_or_the_user(
    api: Caller, granted: str, grant: Held
) -> None:
    shown = api.get(f"{granted}/grants/{grant.id}").json()
    assert shown["created_by"] == "anybody"
    assert "secret" not in shown
    assert grant.secret not in api.get(f"{granted}/grants").text
