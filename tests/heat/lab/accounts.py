"""Heat's accounts in the private Keystone: its user, the domain of stack users, roles and catalog."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from keystoneauth1 import adapter

from factstore.cmd.processes.accounts import Accounts, ensure, point

STACK_USER = "heat_stack_user"


@dataclass(frozen=True)
class HeatAccounts:
    """The accounts of one Heat.

    :param domain: the id of the domain in which it creates the users of stacks.
    """

    auth_url: str
    username: str
    password: str
    domain: str
    domain_admin: str
    domain_admin_password: str


def provision(accounts: Accounts, name: str, endpoint: str) -> HeatAccounts:
    """Create a Heat's users, domain, roles and endpoint.

    :param name: a name that no other Heat in the same Keystone has.
    :param endpoint: its URL, in which Keystone inserts the project.
    """
    keystone = adapter.Adapter(accounts.session("admin"), endpoint_override=accounts.auth_url)
    domain = ensure(keystone, "domain", name)
    roles = {role["name"]: role["id"] for role in keystone.get("/roles").json()["roles"]}
    for role in (STACK_USER, "heat_stack_owner"):
        roles[role] = ensure(keystone, "role", role)
    project = ensure(keystone, "project", "service", domain_id="default")
    made = HeatAccounts(
        accounts.auth_url,
        name,
        secrets.token_urlsafe(24),
        domain,
        f"{name}_domain_admin",
        secrets.token_urlsafe(24),
    )
    heat = _user(keystone, made.username, "default", made.password)
    for role in ("admin", "service"):
        keystone.put(f"/projects/{project}/users/{heat}/roles/{roles[role]}")
    admin = _user(keystone, made.domain_admin, domain, made.domain_admin_password)
    keystone.put(f"/domains/{domain}/users/{admin}/roles/{roles['admin']}")
    point(keystone, ensure(keystone, "service", "heat", type="orchestration"), endpoint)
    return made


def _user(keystone: adapter.Adapter, name: str, domain: str, password: str) -> str:
    """Create a user and return its id."""
    return ensure(keystone, "user", name, domain_id=domain, extra={"password": password})
