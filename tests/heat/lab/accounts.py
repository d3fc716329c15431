"""What Heat needs in the private Keystone: its user, its domain of stack users, roles, catalogue."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from keystoneauth1 import adapter

from factstore.cmd.children.accounts import Accounts, ensure, point

STACK_USER = "heat_stack_user"


@dataclass(frozen=True)
class HeatAccounts:
    """Who Heat is in Keystone.

    :param domain: the id of the domain in which it makes users for stacks.
    """

    auth_url: str
    password: str
    domain: str
    domain_admin_password: str


def provision(accounts: Accounts, endpoint: str) -> HeatAccounts:
    """Make Heat's user, domain, roles and endpoint.

    :param endpoint: Heat's URL, in which Keystone fills in the project.
    """
    made = HeatAccounts(accounts.auth_url, secrets.token_urlsafe(24), "", secrets.token_urlsafe(24))
    keystone = adapter.Adapter(accounts.session("admin"), endpoint_override=accounts.auth_url)
    domain = ensure(keystone, "domain", "heat")
    roles = {role["name"]: role["id"] for role in keystone.get("/roles").json()["roles"]}
    for name in (STACK_USER, "heat_stack_owner"):
        roles[name] = ensure(keystone, "role", name)
    project = ensure(keystone, "project", "service", domain_id="default")
    heat = _user(keystone, "heat", "default", made.password)
    for role in ("admin", "service"):
        keystone.put(f"/projects/{project}/users/{heat}/roles/{roles[role]}")
    admin = _user(keystone, "heat_domain_admin", domain, made.domain_admin_password)
    keystone.put(f"/domains/{domain}/users/{admin}/roles/{roles['admin']}")
    point(keystone, ensure(keystone, "service", "heat", type="orchestration"), endpoint)
    return HeatAccounts(made.auth_url, made.password, domain, made.domain_admin_password)


def _user(keystone: adapter.Adapter, name: str, domain: str, password: str) -> str:
    """The id of a user that has this password from now on."""
    user = ensure(keystone, "user", name, domain_id=domain, extra={"password": password})
    keystone.patch(f"/users/{user}", json={"user": {"password": password}})
    return user
