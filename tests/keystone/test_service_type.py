"""A service whose type in Keystone's catalog is another one."""

from __future__ import annotations

from pathlib import Path

from keystoneauth1 import adapter

from factstore.client import Client
from factstore.cmd.processes.accounts import ensure, point
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, refused
from tests.service import ApiServer

TYPE = "acme-facts"
VERSION = "OpenStack-API-Version"


def test_all_clients_find_it_and_access_rules_name_its_type(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Path, stack: str
) -> None:
    accounts = keystone.accounts
    options = {"keystone_authtoken": {"service_type": TYPE}}
    with ApiServer(
        [etcd.endpoint], tmp_path, auth="keystone", keystone=keystone, options=options
    ) as service:
        admin = adapter.Adapter(
            accounts.session("admin"), endpoint_override=accounts.auth_url, raise_exc=True
        )
        point(admin, ensure(admin, "service", "acme", type=TYPE), service.url)
        session = accounts.session("owner")
        client = Client(session, service_type=TYPE).stack(stack.rpartition("/")[2])
        client.put("a", 1)

        other = adapter.Adapter(session, service_type=TYPE, raise_exc=False)
        assert other.get(f"{stack}/facts/a", microversion="1.0").json()["value"] == 1
        refused(other.get(f"{stack}/facts/a", microversion="1.99"), "406 microversion_unsupported")

        rule = {"method": "GET", "path": f"{stack}/facts/a"}
        for kind, status in ((TYPE, 200), ("contextualization", 401)):
            credential = accounts.application_credential(
                "owner", f"for {kind}", access_rules=[{**rule, "service": kind}]
            )
            token = accounts.issue_with(credential)
            with Caller(service.url, {"X-Auth-Token": token}) as restricted:
                assert restricted.get(f"{stack}/facts/a").status_code == status
                refused(restricted.get(f"{stack}/facts/b"), "401 unauthorized")
        client.delete_stack()
        session.session.close()
