"""Two services, each with an etcd of its own, to which the catalog leads different projects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from keystoneauth1 import adapter

from factstore.client import Client
from factstore.cmd.processes.accounts import REGION, ensure
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, refused
from tests.service import ApiServer

TYPE = "facts-in-clusters"


@pytest.fixture
def admin(keystone: KeystoneServer) -> adapter.Adapter:
    """Keystone's API, for the admin."""
    accounts = keystone.accounts
    return adapter.Adapter(
        accounts.session("admin"), endpoint_override=accounts.auth_url, raise_exc=True
    )


@pytest.fixture
def services(
    etcd: EtcdServer, private_etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Path
) -> Iterator[dict[str, ApiServer]]:
    """The service of each persona's project, by persona; no other project may create stacks in it."""
    with ExitStack() as stack:
        made = {}
        for persona, store in (("owner", etcd), ("outsider", private_etcd)):
            own = f"limits:{keystone.accounts.project_id(persona)}"
            made[persona] = stack.enter_context(
                ApiServer(
                    [store.endpoint],
                    tmp_path / persona,
                    auth="keystone",
                    keystone=keystone,
                    options={"limits": {"stacks": 0}, own: {"stacks": 1000}},
                )
            )
        yield made


@pytest.fixture
def routed(
    admin: adapter.Adapter, keystone: KeystoneServer, services: dict[str, ApiServer]
) -> Iterator[None]:
    """Endpoint groups in the catalog, as in the guide."""
    service = ensure(admin, "service", "facts", type=TYPE)
    others = [
        each["id"] for each in admin.get("/services").json()["services"] if each["id"] != service
    ]
    groups: list[str] = []
    associations: list[str] = []
    try:
        for persona, server in services.items():
            endpoint = {"interface": "public", "region_id": REGION, "url": server.url}
            made = admin.post("/endpoints", json={"endpoint": {**endpoint, "service_id": service}})
            project = keystone.accounts.project_id(persona)
            endpoint_id = made.json()["endpoint"]["id"]
            associations.append(f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoint_id}")
            admin.put(associations[-1])
            # A project with a filter has only the endpoints that are named.
            for other in others:
                group = {"name": f"{persona} {other}", "filters": {"service_id": other}}
                answer = admin.post("/OS-EP-FILTER/endpoint_groups", json={"endpoint_group": group})
                groups.append(answer.json()["endpoint_group"]["id"])
                admin.put(f"/OS-EP-FILTER/endpoint_groups/{groups[-1]}/projects/{project}")
        yield
    finally:
        for group_id in groups:
            admin.delete(f"/OS-EP-FILTER/endpoint_groups/{group_id}")
        for path in associations:  # they would outlive their endpoints, and break the catalog
            admin.delete(path)
        admin.delete(f"/services/{service}")  # with its endpoints


@pytest.mark.usefixtures("routed")
def test_each_project_uses_the_service_and_etcd_of_its_cluster(
    keystone: KeystoneServer, services: dict[str, ApiServer], stack: str
) -> None:
    name = stack.rpartition("/")[2]
    sessions = {persona: keystone.accounts.session(persona) for persona in services}
    for persona, session in sessions.items():
        Client(session, service_type=TYPE).stack(name).put("project", persona)
    for persona, session in sessions.items():
        token = {"X-Auth-Token": session.get_token()}
        (other,) = services.keys() - {persona}
        with Caller(services[persona].url, token) as own, Caller(services[other].url, token) as far:
            assert own.get(f"{stack}/facts/project").json()["value"] == persona
            refused(far.get(f"{stack}/facts/project"), "404 not_found")
            entry = refused(far.put(f"{stack}/facts/project", persona), "403 quota_exceeded")
            assert entry["quota"] == "stacks"
            assert own.delete(stack).status_code == 204
        session.session.close()
