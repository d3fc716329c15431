"""Headers that claim an identity, and what a caller learns of routes, as every persona."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import pytest

from factstore.cmd.processes.keystone import KeystoneServer
from tests.cases import cases
from tests.http import Caller, refused
from tests.keystone.policy_kinds import (
    UNIDENTIFIED,
    Tokens,
)
from tests.keystone.policy_requests import call, check, contents
from tests.keystone.policy_stacks import (
    CHALLENGE,
)
from tests.keystone.policy_table import (
    FACT,
    NAMES,
    STACKS,
    SUBSCRIPTIONS,
)
from tests.keystone.policy_table import TOKEN_ROWS as ROWS

FORGED = {
    "X-Roles": "admin,member",
    "X-Role": "admin",
    "X-User-Id": "root",
    "X-User": "root",
    "X-User-Domain-Id": "default",
    "X-Project-Id": "PROJECT",
    "X-Tenant-Id": "PROJECT",
    "X-Tenant": "PROJECT",
    "X-Identity-Status": "Confirmed",
    "X-Is-Admin-Project": "True",
    "X-Service-Roles": "admin,service",
    "X-Service-Identity-Status": "Confirmed",
    "OpenStack-System-Scope": "all",
    "Factstore.Identity": "root",
    "Remote-User": "root",
}


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as they are": lambda name: name,
    "underscores": lambda name: name.replace("-", "_"),
    "one underscore": lambda name: name.replace("-", "_", 1),
    "capitals": str.upper,
    "as WSGI names them": lambda name: f"HTTP-{name}",
}


def forged(spelling: str, project: str) -> dict[str, str]:
    """Headers that claim what the gate would say of a project's owner or of an administrator."""
    return {
        SPELLINGS[spelling](name): project if value == "PROJECT" else value
        for name, value in FORGED.items()
    }


# The gate looks at the headers alone, so these stand for all rows of their kinds.
OF_EACH_KIND = [
    row
    for row in ROWS
    if row.operation
    in (
        *(("GET", STACKS), ("GET", FACT), ("PUT", FACT), ("DELETE", FACT)),
        ("POST", "/v1/vendordata"),
        ("GET", "/v1/events"),
        ("GET", SUBSCRIPTIONS),
    )
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_headers_that_claim_an_identity_change_nothing(
    callers: dict[str, Caller], project: str, owned: str, grant: str, spelling: str
) -> None:
    headers = forged(spelling, project)
    assert {row.tokens for row in OF_EACH_KIND} == set(Tokens) - {Tokens.PUBLIC}
    before = contents(callers["owner"], owned)
    with cases() as case:
        for persona in ("no token", "junk token", "outsider", "reader", "restricted"):
            for row in OF_EACH_KIND:
                with case(f"{persona}: {row}"):
                    answer = call(callers[persona], row, owned, project, grant, headers=headers)
                    check(answer, row.answer_to_persona(persona), CHALLENGE)
                    if row.template == STACKS and not row.query and persona == "outsider":
                        assert owned not in answer.text
                if row.tokens is Tokens.WRITE and persona == "outsider":
                    callers[persona].delete(f"/v1/stacks/{owned}").raise_for_status()
    assert contents(callers["owner"], owned) == before


def test_a_writer_cannot_forge_the_author(
    keystone: KeystoneServer, callers: dict[str, Caller], project: str, owned: str
) -> None:
    outside, user = (
        keystone.accounts.project_id("outsider"),
        keystone.accounts.user_id("owner"),
    )
    for n, spelling in enumerate(SPELLINGS):
        headers = forged(spelling, outside)
        written = callers["owner"].put(f"/v1/stacks/{owned}/facts/b", n, headers=headers)
        assert written.json()["updated_by"] == user, spelling
    assert callers["owner"].get(f"/v1/stacks/{owned}").json()["project_id"] == project


def test_an_authenticated_caller_learns_the_methods_of_a_route_whether_its_stack_exists_or_not(
    callers: dict[str, Caller], owned: str, grant: str
) -> None:
    for template in {row.template for row in ROWS if row.tokens is not Tokens.PUBLIC}:
        there, missing = (
            template.format_map({**NAMES, "stack": name, "grant": grant})
            for name in (owned, "missing")
        )
        for persona in UNIDENTIFIED:
            refused(callers[persona]("OPTIONS", there), "401 unauthorized")
        told = [callers["outsider"]("OPTIONS", path) for path in (there, missing)]
        assert [answer.status_code for answer in told] == [HTTPStatus.OK] * 2
        assert told[0].headers["Allow"] == told[1].headers["Allow"]
