"""Members over HTTP, where several services, waiting and restarts come together."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.functional.test_blocking_queries import waiting
from tests.http import Caller, refused
from tests.service import ApiServer


@pytest.fixture
def server(two_workers: ApiServer) -> ApiServer:
    """A service whose two workers answer a client's requests in turn."""
    return two_workers


def join(api: Caller, stack: str, name: str = "c1", **fields: Any) -> dict[str, Any]:
    answer = api.put(f"{stack}/members/{name}", json={"group": "compute", "ttl": 600, **fields})
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def heartbeat(api: Caller, stack: str, name: str = "c1", **fields: Any) -> None:
    answer = api.post(f"{stack}/members/{name}/heartbeat", json=fields)
    assert (answer.status_code, answer.content) == (HTTPStatus.NO_CONTENT, b"")


def cursor(api: Caller, stack: str) -> str:
    found: str = api.get(f"{stack}/members").json()["cursor"]
    return found


def test_an_agent_and_a_service_restarted_within_the_ttl_wake_no_watcher(
    etcd: EtcdServer, one_worker: ApiServer, stack: str, tmp_path: Path
) -> None:
    about = {"attributes": {"rack": "r1"}}
    bound = {"value": "10.0.0.6", "member": "c1"}
    with ApiServer([etcd.endpoint], tmp_path) as there, Caller(one_worker.url) as watcher:
        with Caller(there.url) as agent:
            generation = join(agent, stack, **about)["generation"]
            ours = {"Factstore-Generation": generation}
            agent.put(f"{stack}/facts/nodes/c1/ip", json=bound, headers=ours).raise_for_status()
        since = cursor(watcher, stack)
        with waiting(watcher, f"{stack}/events?wait=30&since={since}") as (waiter,):
            there.restart()
            with Caller(there.url) as agent:  # which knows its generation from its disk
                assert join(agent, stack, generation=generation, **about)["version"] == 1
                again = agent.put(f"{stack}/facts/nodes/c1/ip", json=bound, headers=ours)
                assert again.headers["Factstore-Unchanged"] == "true"
                heartbeat(agent, stack, generation=generation)
                heartbeat(agent, stack, applied=since)
                agent.put(f"{stack}/facts/last", 1).raise_for_status()
            page = waiter.answer().json()
        assert [c["path"] for event in page["events"] for c in event["changes"]] == ["last"]


def test_a_heartbeat_may_reach_any_worker_and_have_no_body(api: Caller, stack: str) -> None:
    generation = join(api, stack)["generation"]
    since = cursor(api, stack)
    for n in range(20):
        with Caller(api.url) as other:  # each connection meets a worker of its own
            headers = {"Factstore-Generation": generation} if n % 2 else {}
            answer = other.post(f"{stack}/members/c1/heartbeat", headers=headers)
            assert answer.status_code == HTTPStatus.NO_CONTENT
    last = api.put(f"{stack}/facts/last", 1).headers["Factstore-Cursor"]
    events = api.get(f"{stack}/events?since={since}&wait=30").json()["events"]
    assert [event["cursor"] for event in events] == [last]


def test_convergence_at_one_service_ends_waits_at_another(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as here, Caller(two_workers.url) as there:
        for name in ("c1", "c2"):
            join(here, stack, name)
        target = cursor(here, stack)
        with waiting(there, f"{stack}/convergence?wait=30", count=3) as waiters:
            heartbeat(here, stack, "c1", applied=target)
            here.put(f"{stack}/facts/results/c1/install", "complete").raise_for_status()
            heartbeat(here, stack, "c2", applied=target)
            found = [waiter.answer().json() for waiter in waiters]
    assert [(each["converged"], each["lagging"]) for each in found] == [(True, [])] * 3


def test_a_wait_with_the_present_etag_ends_when_convergence_changes(
    api: Caller, stack: str
) -> None:
    join(api, stack)
    known = api.get(f"{stack}/convergence")
    tag = f"If-None-Match: {known.headers['ETag']}"
    with waiting(api, f"{stack}/convergence?wait=30", tag) as (waiter,):
        heartbeat(api, stack, applied=known.json()["target"])
        answer = waiter.answer()
    assert answer.status == HTTPStatus.OK
    assert answer.json()["members"][0]["applied"] == known.json()["target"]


def test_a_wait_for_convergence_ends_with_its_stack(api: Caller, stack: str) -> None:
    join(api, stack)
    with waiting(api, f"{stack}/convergence?wait=30") as (waiter,):
        api.delete(stack)
        assert waiter.answer().status == HTTPStatus.NOT_FOUND


def test_facts_deleted_with_a_member_name_the_author_of_its_departure(
    api: Caller, stack: str
) -> None:
    join(api, stack)
    for path in ("a", "b"):
        body = {"value": 1, "member": "c1"}
        api.put(f"{stack}/facts/{path}", json=body).raise_for_status()
    since = cursor(api, stack)
    departed = api.delete(f"{stack}/members/c1")
    assert departed.status_code == HTTPStatus.NO_CONTENT
    first = api.get(f"{stack}/events?since={since}&wait=30").json()["events"][0]
    then = api.get(f"{stack}/events?since={first['cursor']}&wait=30").json()
    (second,) = then["events"]
    (left,) = first["changes"]
    assert first["cursor"] == departed.headers["Factstore-Cursor"]
    assert (left["type"], left["reason"]) == ("member.depart", "left")
    assert [(c["type"], c["path"], c["fact"]) for c in second["changes"]] == [
        ("fact.expire", "a", None),
        ("fact.expire", "b", None),
    ]
    request_id = departed.headers["X-Openstack-Request-Id"]
    assert {c["request_id"] for c in (left, *second["changes"])} == {request_id}


def test_the_event_of_an_expired_member_shows_its_last_state(api: Caller, stack: str) -> None:
    member = join(api, stack, ttl=5)
    body = {"value": 1, "member": "c1"}
    api.put(f"{stack}/facts/a", json=body).raise_for_status()
    since = cursor(api, stack)
    (event,) = api.get(f"{stack}/events?since={since}&wait=30").json()["events"]
    fact, gone = event["changes"]
    assert (fact["type"], fact["path"]) == ("fact.expire", "a")
    assert (gone["type"], gone["name"], gone["group"]) == ("member.expire", "c1", "compute")
    assert (gone["member"], gone["previous"], gone["by"]) == (None, member, None)
    assert gone["reason"] == "expired"


@pytest.mark.parametrize("changed", ["a header", "no header"])
def test_an_idempotency_key_covers_the_generation_too(
    api: Caller, stack: str, changed: str
) -> None:
    first, second = (join(api, stack, name)["generation"] for name in ("c1", "c2"))
    key = {"Idempotency-Key": "k"}
    fenced = {**key, "Factstore-Generation": first}
    other = {**key, "Factstore-Generation": second} if changed == "a header" else key
    written = api.put(f"{stack}/facts/a", 1, headers=fenced)
    assert api.put(f"{stack}/facts/a", 1, headers=fenced).json() == written.json()
    refused(api.put(f"{stack}/facts/a", 1, headers=other), "409 idempotency_key_reused")


def declare(api: Caller, stack: str, name: str = "c1", **fields: Any) -> dict[str, Any]:
    body = {"group": "compute", "declared": f"heat:{name}", **fields}
    answer = api.put(f"{stack}/members/{name}", json=body)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def test_a_waiter_for_every_member_waits_for_the_declared_until_their_agents_are_up(
    api: Caller, stack: str
) -> None:
    join(api, stack, "c1")
    declare(api, stack, "c2")
    for name in ("c1", "c3"):
        api.put(f"{stack}/facts/nodes/{name}/up", True).raise_for_status()
    success = {"every_member": {"group": "compute", "fact": "up", "equals": True}}
    api.put(f"{stack}/waiters/w", json={"success": success}).raise_for_status()
    state = api.get(f"{stack}/waiters/w").json()
    assert (state["state"], state["missing"]) == ("pending", ["c2"])
    join(api, stack, "c2")
    api.put(f"{stack}/facts/nodes/c2/up", True).raise_for_status()
    eventually(lambda: api.get(f"{stack}/waiters/w").json()["state"] == "met")


def test_convergence_waits_until_declared_members_join_or_depart(api: Caller, stack: str) -> None:
    join(api, stack, "c1")
    declare(api, stack, "c2")
    with waiting(api, f"{stack}/convergence?wait=30") as (waiter,):
        target = api.get(f"{stack}/convergence").json()["target"]
        heartbeat(api, stack, "c1", applied=target)
        assert api.get(f"{stack}/convergence").json()["lagging"] == ["c2"]
        api.delete(f"{stack}/members/c2?declared=heat:c2").raise_for_status()
        target = api.get(f"{stack}/convergence").json()["target"]
        heartbeat(api, stack, "c1", applied=target)
        found = waiter.answer().json()
    assert (found["converged"], [m["name"] for m in found["members"]]) == (True, ["c1"])


def test_a_wait_for_a_new_context_is_not_ended_by_a_note(api: Caller, stack: str) -> None:
    join(api, stack)
    known = api.get(f"{stack}/context").headers["ETag"]
    with waiting(api, f"{stack}/context?wait=30", f"If-None-Match: {known}") as (waiter,):
        noted = declare(api, stack, reason="scaled_out")
        assert (noted["declared"], noted["ttl"]) == ("heat:c1", 600)
        assert api.get(f"{stack}/context").headers["ETag"] == known
        api.put(f"{stack}/facts/p", 1).raise_for_status()
        assert waiter.answer().json()["facts"] == {"p": 1}


def test_declared_members_survive_a_restart_of_the_service(
    etcd: EtcdServer, one_worker: ApiServer, stack: str, tmp_path: Path
) -> None:
    with ApiServer([etcd.endpoint], tmp_path) as there, Caller(there.url) as owner:
        assert owner.put(stack, json={}).status_code == 201
        declared = declare(owner, stack)
        there.restart()
        assert owner.get(f"{stack}/members/c1").json() == {**declared, "read_set": None}
    with Caller(one_worker.url) as agent:
        assert join(agent, stack)["declared"] == "heat:c1"
