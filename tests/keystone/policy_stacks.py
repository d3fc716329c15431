"""Personas with real tokens, and filled stacks of the owner's that they read and write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from factstore.cmd.processes.keystone import KeystoneServer
from tests.eventually import eventually
from tests.http import Caller, fresh_stack
from tests.keystone.policy_kinds import (
    RESTRICTED_TO,
)
from tests.keystone.policy_table import (
    READ_ONLY,
    RECORDS,
)
from tests.service import ApiServer

EXPIRY_SECONDS = 4


def expired(keystone: KeystoneServer, server: ApiServer) -> str:
    """A token that was good: it ended with the application credential that it was issued for."""
    ends = datetime.now(UTC) + timedelta(seconds=EXPIRY_SECONDS)
    credential = keystone.accounts.application_credential(
        "owner", fresh_stack(), expires_at=ends.strftime("%Y-%m-%dT%H:%M:%S.%f")
    )
    token = keystone.accounts.issue_with(credential)
    with Caller(server.url, {"X-Auth-Token": token}) as caller:
        assert caller.get("/v1/stacks").status_code == HTTPStatus.OK
        eventually(
            lambda: caller.get("/v1/stacks").status_code == HTTPStatus.UNAUTHORIZED,
            EXPIRY_SECONDS + 10,
        )
    return token


def restricted(keystone: KeystoneServer) -> str:
    method, template = RESTRICTED_TO
    rule = {"service": "contextualization", "method": method, "path": template}
    return keystone.accounts.issue_with(
        keystone.accounts.application_credential("owner", fresh_stack(), access_rules=[rule])
    )


def put_all(owner: Caller, name: str, records: dict[str, Any]) -> None:
    """Make a stack with fact ``a``, member ``a`` and some records."""
    member = {"group": "g", "ttl": 600}
    for path, body in {"facts/a": {"value": 1}, "members/a": member, **records}.items():
        owner.put(f"/v1/stacks/{name}/{path}", json=body).raise_for_status()


def fill(owner: Caller, name: str) -> str:
    """Make a stack with fact ``a``, member ``a``, the records and a grant; return the grant's id."""
    put_all(owner, name, RECORDS)
    return issue(owner, name)


def issue(owner: Caller, name: str) -> str:
    """Issue a grant of a stack; return its id."""
    issued = owner.post(f"/v1/stacks/{name}/grants", json=READ_ONLY)
    issued.raise_for_status()
    grant: str = issued.json()["id"]
    return grant


def remove(callers: dict[str, Caller], name: str, *others: str) -> None:
    """Delete the owner's stack of a name, and what others made by the same."""
    for persona in ("owner", *others):
        callers[persona].delete(f"/v1/stacks/{name}")


CHALLENGE = "Keystone uri="
