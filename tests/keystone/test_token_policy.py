"""Every operation as every persona, with real tokens: the table is in ``policy_table``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import requests

from factstore.api import docs_ui
from factstore.cmd.processes.keystone import KeystoneServer
from tests.cases import cases
from tests.eventually import eventually
from tests.http import Caller, fresh_stack, refused
from tests.keystone.conftest import with_token
from tests.keystone.policy_kinds import (
    PERSONAS,
    RESTRICTED_TO,
    STRANGERS,
    UNIDENTIFIED,
    Row,
    Tokens,
)
from tests.keystone.policy_requests import Listener, act, call, check, contents, records_for
from tests.keystone.policy_table import (
    FACT,
    LISTENER,
    NAMES,
    READ_ONLY,
    RECORDS,
    STACKS,
    SUBSCRIPTIONS,
)
from tests.keystone.policy_table import TOKEN_ROWS as ROWS
from tests.service import ApiServer
from tests.structure.application import mounted, operations

READS = [row for row in ROWS if row.method == "GET"]
"""One stack serves them all."""

WRITES = [row for row in ROWS if row not in READS]
rows_of_stacks = pytest.mark.parametrize(
    "row", [row for row in ROWS if "{stack}" in row.template], ids=str
)

EXPIRY_SECONDS = 4


def expired(keystone: KeystoneServer, server: ApiServer) -> str:
    """A token that was good: it ended with the application credential that it was issued for."""
    ends = datetime.now(UTC) + timedelta(seconds=EXPIRY_SECONDS)
    credential = keystone.accounts.application_credential(
        "owner", fresh_stack(), expires_at=ends.strftime("%Y-%m-%dT%H:%M:%S.%f")
    )
    token = keystone.accounts.issue_with(credential)
    with with_token(server, token) as caller:
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


@pytest.fixture(scope="module")
def callers(
    keystone: KeystoneServer, server: ApiServer, tokens: dict[str, str]
) -> Iterator[dict[str, Caller]]:
    """A client for each persona."""
    accounts = keystone.accounts
    revoked = accounts.issue("owner")
    accounts.revoke(revoked)
    # The persona is an administrator too; this is its role of a service alone.
    service = accounts.application_credential("service", fresh_stack(), roles=["service"])
    sent = {
        "junk token": "junk",
        "expired token": expired(keystone, server),
        "revoked token": revoked,
        "service": accounts.issue_with(service),
        "restricted": restricted(keystone),
        **{name: tokens[name] for name in ("outsider", "admin", "reader", "owner")},
    }
    made = {name: with_token(server, token) for name, token in sent.items()}
    made["no token"] = Caller(server.url)
    assert set(made) == set(PERSONAS)
    yield made
    for caller in made.values():
        caller.close()


@pytest.fixture(scope="module")
def project(keystone: KeystoneServer) -> str:
    """The owner's."""
    return keystone.accounts.project_id("owner")


NO_GRANT = f"{'0' * 32}-{'0' * 16}"


@pytest.fixture
def owned(callers: dict[str, Caller]) -> Iterator[str]:
    """The name of a stack of the owner's that is filled; other projects have none of this name."""
    name = fresh_stack()
    fill(callers["owner"], name)
    yield name
    remove(callers, name, *STRANGERS)


@pytest.fixture
def grant(callers: dict[str, Caller], owned: str) -> str:
    """The id of the one grant of that stack."""
    (found,) = callers["owner"].get(f"/v1/stacks/{owned}/grants").json()["grants"]
    identity: str = found["id"]
    return identity


@dataclass(frozen=True)
class Shared:
    """A filled stack of the owner's that no test changes."""

    name: str
    grant: str
    action: str
    listener: Listener


@pytest.fixture(scope="module")
def shared(callers: dict[str, Caller]) -> Iterator[Shared]:
    """One stack for all tests that leave it as it is, which is checked at the end."""
    owner, name = callers["owner"], fresh_stack()
    grant = fill(owner, name)
    made = Shared(name, grant, act(owner, name), listen(owner))
    before = contents(owner, name)
    yield made
    assert contents(owner, name) == before
    remove_subscriptions(owner)
    remove(callers, name)


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


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    shown = {("GET", path) for path in docs_ui.PATHS}
    assert {row.operation for row in ROWS} == operations() | mounted() | shown


def test_no_row_of_the_table_is_a_duplicate() -> None:
    assert len({str(row) for row in ROWS}) == len(ROWS)
    assert {len(kind.value) for kind in Tokens} == {len(PERSONAS)}


@pytest.mark.parametrize("row", READS, ids=str)
def test_each_persona_who_reads_is_answered_as_the_table_says(
    callers: dict[str, Caller], project: str, shared: Shared, row: Row
) -> None:
    made: dict[str, Any] = {"listener": shared.listener, "action": shared.action}
    with cases() as case:
        for persona in PERSONAS:
            with case(persona):
                answer = call(callers[persona], row, shared.name, project, shared.grant, **made)
                check(answer, row.answer_to_persona(persona), CHALLENGE)
                if row.tokens is not Tokens.PUBLIC and persona != "restricted":
                    head = call(
                        callers[persona],
                        row,
                        shared.name,
                        project,
                        shared.grant,
                        method="HEAD",
                        **made,
                    )
                    assert head.status_code == answer.status_code


@pytest.mark.parametrize("row", WRITES, ids=str)
def test_each_persona_who_writes_is_answered_as_the_table_says(
    callers: dict[str, Caller], project: str, shared: Shared, row: Row
) -> None:
    """Only the owner changes anything of the owner's, of a stack that is filled for that."""
    made: dict[str, Any] = {"listener": shared.listener, "action": shared.action}
    with cases() as case:
        for persona in PERSONAS:
            if persona == "owner":
                continue
            with case(persona):
                try:
                    answer = call(callers[persona], row, shared.name, project, shared.grant, **made)
                    check(answer, row.answer_to_persona(persona), CHALLENGE)
                finally:
                    if row.tokens is Tokens.WRITE and persona in STRANGERS:
                        callers[persona].delete(f"/v1/stacks/{shared.name}")
        with case("owner"):
            own(callers["owner"], row, project, shared)


def own(owner: Caller, row: Row, project: str, shared: Shared) -> None:
    """Carry out a row's operation as the owner, with what it needs."""
    name, grant = fresh_stack(), NO_GRANT
    made: dict[str, Any] = {}
    if "{stack}" in row.template:
        put_all(owner, name, records_for(row))
    if "{grant}" in row.template:
        grant = issue(owner, name)
    if "{action}" in row.template:
        made["action"] = act(owner, name)
    if "{subscription}" in row.template:
        made["listener"] = listen(owner)
    answer = call(owner, row, name, project, grant, **made)
    check(answer, row.answer_to_persona("owner"), CHALLENGE)
    if "{stack}" in row.template:
        owner.delete(f"/v1/stacks/{name}")
    elif "subscription" in row.template:
        remove_subscriptions(owner, shared.listener.id)


def remove_subscriptions(owner: Caller, *kept: str) -> None:
    """Delete the subscriptions of a project, except for some."""
    for made in owner.get(SUBSCRIPTIONS).json()["subscriptions"]:
        if made["id"] not in kept:
            owner.delete(f"{SUBSCRIPTIONS}/{made['id']}").raise_for_status()


def listen(owner: Caller) -> Listener:
    """Create a subscription."""
    made = owner.post(SUBSCRIPTIONS, json=LISTENER)
    made.raise_for_status()
    return Listener(made.json()["id"], made.headers["Factstore-Cursor"])


MOVING = [
    (r'"(id|etag|revision|project_id|generation|plan)":("[^"]*"|\d+)', r'"\1":_'),
    (
        r'"(secret|token)":"[\w.-]+"',
        r'"\1":_',
    ),  # first, because secrets may contain the patterns below
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"[0-9a-f]{16}\.\d+", "CURSOR"),
    (r'"[0-9a-f]{32}"', '"TAG"'),
    (r"[0-9a-f]{32}-[0-9a-f]{16}(\.[\w-]+)?", "GRANT"),
    (r"req-[0-9a-f-]{36}", "REQUEST"),
]


def seen(answer: requests.Response, stack: str) -> tuple[int, dict[str, str], str]:
    """Return a whole response, without names and without values that differ between requests."""

    def settled(text: str) -> str:
        text = text.replace(stack, "STACK")
        for pattern, name in MOVING:
            text = re.sub(pattern, name, text)
        return text

    # A revision may have grown by a digit; in a refusal nothing may grow.
    moving = (
        {"date"} if answer.status_code >= HTTPStatus.BAD_REQUEST else {"date", "content-length"}
    )
    headers = {
        name: settled(value) for name, value in answer.headers.items() if name.lower() not in moving
    }
    return answer.status_code, headers, settled(answer.text)


@rows_of_stacks
def test_a_stack_of_others_looks_as_if_it_did_not_exist(
    callers: dict[str, Caller], project: str, shared: Shared, row: Row
) -> None:
    missing = fresh_stack()
    with cases() as case:
        for persona in (*UNIDENTIFIED[:2], *STRANGERS):
            with case(persona):
                theirs, nobodys = (
                    seen(call(callers[persona], row, name, project, shared.grant), name)
                    for name in (shared.name, missing)
                )
                assert theirs == nobodys
            if row.tokens is Tokens.WRITE and persona in STRANGERS:
                for name in (shared.name, missing):
                    callers[persona].delete(f"/v1/stacks/{name}")


def test_a_fact_of_others_looks_as_if_it_did_not_exist(
    callers: dict[str, Caller], project: str, owned: str
) -> None:
    """Even if the caller's own project has stacks of these names."""
    owner, outsider, other = callers["owner"], callers["outsider"], fresh_stack()
    owner.put(f"/v1/stacks/{other}/facts/b", 1).raise_for_status()
    with cases() as case:
        for row in (row for row in ROWS if "{path}" in row.template):
            for name in (owned, other):
                outsider.put(f"/v1/stacks/{name}/facts/mine", 1).raise_for_status()
            with case(row):
                theirs, nobodys = (
                    seen(call(outsider, row, name, project, NO_GRANT), name)
                    for name in (owned, other)
                )
                assert theirs == nobodys
            for name in (owned, other):
                outsider.delete(f"/v1/stacks/{name}").raise_for_status()
    remove(callers, other)


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
