"""Vendor data, requested as Nova does, and read as cloud-init does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from keystoneauth1.exceptions import Forbidden, Unauthorized

from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.pages import code
from tests.http import Caller
from tests.keystone.conftest import Login
from tests.service import ApiServer

INSTANCE = "1b4d9a52-0c8e-4f57-9d3a-5f6e7a8b9c0d"


def targets() -> tuple[str, str]:
    """Return the name and the URL of the target in the guide's nova.conf."""
    (conf,) = [each for each in code("install/vendordata.rst", "ini") if "[api]" in each]
    found = re.search(r"^vendordata_dynamic_targets = ([^@]+)@(\S+)$", conf, re.MULTILINE)
    assert found is not None
    return found[1], found[2]


def vendor_data2(
    keystone: KeystoneServer, server: ApiServer, persona: str, body: dict[str, Any]
) -> dict[str, Any]:
    """Return ``vendor_data2.json`` as Nova's ``DynamicVendorData`` makes it.

    :param persona: the user in ``[vendordata_dynamic_auth]``.
    """
    name, url = targets()
    answer = keystone.accounts.session(persona).request(
        url.replace("http://controller:8796", server.url),
        "POST",
        data=json.dumps(body),
        verify=False,
        headers={
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "openstack-nova-vendordata",
        },
        timeout=60,
    )
    return {name: json.loads(answer.text) if answer.text else {}}


def vendor_data_raw(document: dict[str, Any]) -> str | None:
    """Return what cloud-init's ``convert_vendordata`` takes from the document."""
    found = document.get("cloud-init")
    if not found:
        return None
    assert not isinstance(found, dict), "cloud-init refuses a map here"
    return str(found)


def body_of(project_id: str, stack: str) -> dict[str, Any]:
    """Return the body that Nova's documentation describes, with the field that later releases add."""
    return {
        "project-id": project_id,
        "instance-id": INSTANCE,
        "image-id": "",
        "user-data": None,
        "hostname": "c1",
        "metadata": {"factstore_stack": stack, "factstore_group": "compute"},
        "boot-roles": "",
    }


def test_nova_gives_a_server_the_grant_for_a_member_of_its_projects_stack(
    keystone: KeystoneServer, server: ApiServer, login: Login, stack: str
) -> None:
    name = stack.rpartition("/")[2]
    owner = login("owner")
    body = body_of(keystone.accounts.project_id("owner"), name)
    missing = vendor_data_raw(vendor_data2(keystone, server, "service", body))
    assert missing is not None
    assert "this server does not become a member" in missing
    owner.put(f"{stack}/facts/a", 1).raise_for_status()
    script = vendor_data_raw(vendor_data2(keystone, server, "service", body))
    assert script is not None
    assert script.startswith("#!/bin/sh\n")
    again = vendor_data_raw(vendor_data2(keystone, server, "service", body))
    assert again == script
    token = re.findall(r"printf %s '(\S+\.\S+)\n' >/etc/factstore/grant", script)[0]
    with Caller(server.url, {"Authorization": f"Bearer {token}"}) as agent:
        joined = agent.put(f"{stack}/members/c1", json={"group": "compute", "ttl": 30})
        assert joined.status_code == 201
    (grant,) = owner.get(f"{stack}/grants").json()["grants"]
    assert (grant["member"], grant["created_by"]) == ("c1", keystone.accounts.user_id("service"))
    elsewhere = body_of(keystone.accounts.project_id("outsider"), name)
    refused = vendor_data_raw(vendor_data2(keystone, server, "service", elsewhere))
    assert refused is not None
    assert "this server does not become a member" in refused


def test_a_server_without_properties_has_no_vendor_data(
    keystone: KeystoneServer, server: ApiServer
) -> None:
    body = {**body_of("p", "s"), "metadata": {}}
    document = vendor_data2(keystone, server, "service", body)
    assert document == {"cloud-init": {}}
    assert vendor_data_raw(document) is None


@pytest.mark.parametrize("persona", ["owner", "reader"])
def test_users_cannot_request_vendor_data(
    keystone: KeystoneServer, server: ApiServer, persona: str
) -> None:
    body = body_of(keystone.accounts.project_id("owner"), "s")
    with pytest.raises((Forbidden, Unauthorized)):
        vendor_data2(keystone, server, persona, body)
