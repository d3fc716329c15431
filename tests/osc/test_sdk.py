"""``connection.contextualization`` of openstacksdk."""

from __future__ import annotations

from pathlib import Path

import openstack
import pytest
from openstack import exceptions

import factstore.sdk
from factstore.client import NotFound, Snapshot, Stack
from tests.service import ApiServer


@pytest.fixture
def service(one_worker: ApiServer) -> factstore.sdk.Proxy:
    connection = openstack.connect(
        auth_type="none",
        auth={"endpoint": one_worker.url},
        load_yaml_config=False,
        load_envvars=False,
    )
    factstore.sdk.add_service(connection)
    found = connection.contextualization
    assert isinstance(found, factstore.sdk.Proxy)
    return found


def test_facts_are_read_written_and_watched(service: factstore.sdk.Proxy, stack: Stack) -> None:
    name = stack.name
    service.set_fact(name, "nodes/c1/ip", "10.0.0.1", kind="parameter")
    assert service.get_fact(name, "nodes/c1/ip").value == "10.0.0.1"
    assert [fact.path for fact in service.facts(name, "nodes")] == ["nodes/c1/ip"]
    assert name in {record.name for record in service.stacks()}
    with service.watch(name, initial=True) as watch:
        first = next(watch)
    assert isinstance(first, Snapshot)
    assert [fact.path for fact in first.facts] == ["nodes/c1/ip"]
    service.delete_fact(name, "nodes/c1/ip")
    service.delete_fact(name, "nodes/c1/ip")
    with pytest.raises(NotFound):
        service.delete_fact(name, "nodes/c1/ip", ignore_missing=False)


def test_listeners_are_registered(service: factstore.sdk.Proxy) -> None:
    made = service.create_subscription("zaqar:?queue_name=q", stacks=["a*"])
    assert made.secret is not None
    assert made.secret not in repr(made)
    assert service.get_subscription(made.id).stacks == ("a*",)
    assert made.id in {record.id for record in service.subscriptions()}
    service.delete_subscription(made.id)
    service.delete_subscription(made.id)
    with pytest.raises(NotFound):
        service.delete_subscription(made.id, ignore_missing=False)


def test_a_wait_returns_or_raises_as_those_of_openstacksdk(
    service: factstore.sdk.Proxy, stack: Stack
) -> None:
    name = stack.name
    stack.put("a", 1)
    assert service.wait_for_fact(name, "a").value == 1
    with pytest.raises(exceptions.ResourceTimeout, match="'b'"):
        service.wait_for_fact(name, "b", timeout=0)
    stack.waiter("met").arm({"facts": "a", "present": True})
    assert service.wait_for_waiter(name, "met").state == "met"
    stack.waiter("failed").arm({"signals": 1}, failure={"facts": "a", "present": True})
    with pytest.raises(exceptions.ResourceFailure, match="failed"):
        service.wait_for_waiter(name, "failed")
    stack.waiter("pending").arm({"signals": 1})
    with pytest.raises(exceptions.ResourceTimeout, match="missing: signals"):
        service.wait_for_waiter(name, "pending", timeout=0)
    member = stack.member("c1")
    member.join("compute", ttl=300)
    with pytest.raises(exceptions.ResourceTimeout, match="lagging: c1"):
        service.wait_for_convergence(name, timeout=0)
    member.heartbeat(applied=stack.context().cursor)
    assert service.wait_for_convergence(name).converged


def test_a_cloud_adds_the_service_by_itself(
    stack: Stack, one_worker: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.put("a", 1)
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(
        f"clouds: {{lab: {{auth_type: none, auth: {{endpoint: '{one_worker.url}'}},"
        " vendor_hook: 'factstore.sdk:add_service'}}\n"
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    connection = openstack.connect(cloud="lab")
    assert connection.contextualization.get_fact(stack.name, "a").value == 1
