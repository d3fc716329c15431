"""Every operation as every persona, with real tokens: the table is in ``matrix``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import requests

from factstore.api import docs_ui
from factstore.cmd.processes.keystone import KeystoneServer
from tests.calling import PROBLEM, Caller, fresh_stack, refused
from tests.eventually import eventually
from tests.keystone.conftest import with_token
from tests.keystone.matrix import (
    PERSONAS,
    READ_ONLY,
    RESTRICTED_TO,
    ROWS,
    STRANGERS,
    UNIDENTIFIED,
    Kind,
    Row,
)
from tests.service import ApiServer
from tests.structure.application import mounted, operations

every_row = pytest.mark.parametrize("row", ROWS, ids=str)
rows_of_stacks = pytest.mark.parametrize(
    "row", [row for row in ROWS if "{stack}" in row.template], ids=str
)
rows_of_facts = pytest.mark.parametrize(
    "row", [row for row in ROWS if "{path}" in row.template], ids=str
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


def fill(owner: Caller, name: str) -> str:
    """Make a stack with fact ``a``, member ``a``, waiter ``w`` and a grant, whose id this is."""
    for path, body in (
        ("facts/a", {"value": 1}),
        ("members/a", {"group": "g"}),
        ("waiters/w", {"success": {"signals": 2}}),
    ):
        owner.put(f"/v1/stacks/{name}/{path}", json=body).raise_for_status()
    issued = owner.post(f"/v1/stacks/{name}/grants", json=READ_ONLY)
    issued.raise_for_status()
    grant: str = issued.json()["id"]
    return grant


def remove(callers: dict[str, Caller], name: str, *others: str) -> None:
    """Delete the owner's stack of a name, and what others made by the same."""
    for persona in ("owner", *others):
        callers[persona].delete(f"/v1/stacks/{name}")


def held(owner: Caller, name: str) -> list[object]:
    """What is in a stack."""
    kinds = ("facts", "members", "grants")
    return [owner.get(f"/v1/stacks/{name}/{kind}").json()[kind] for kind in kinds]


def call(
    caller: Caller,
    row: Row,
    stack: str,
    project: str,
    grant: str = NO_GRANT,
    *,
    method: str = "",
    headers: dict[str, str] | None = None,
) -> requests.Response:
    """Carry out a row's operation on a stack."""
    names = {"path": "a", "member": "a", "waiter": "w", "grant": grant}
    target = (row.template + row.query).format(stack=stack, project=project, **names)
    more = {} if row.body is None else {"json": row.body}
    return caller(method or row.method, target, headers=headers, **more)


def check(answer: requests.Response, expected: str) -> None:
    """The answer is as the table says, to the last header of a refusal."""
    status, _, code = expected.partition(" ")
    assert answer.status_code == int(status), answer.text
    if not code:
        return
    if answer.request.method == "HEAD":
        assert answer.headers["Content-Type"].partition(";")[0] == PROBLEM
        assert not answer.content
    else:
        refused(answer, expected)
    assert ("WWW-Authenticate" in answer.headers) == (code == "unauthorized")
    if code == "unauthorized":
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    shown = {("GET", path) for path in docs_ui.PATHS}
    assert {row.operation for row in ROWS} == operations() | mounted() | shown


def test_every_way_to_call_an_operation_stands_once() -> None:
    assert len({str(row) for row in ROWS}) == len(ROWS)
    assert {len(kind.value) for kind in Kind} == {len(PERSONAS)}


@every_row
@pytest.mark.parametrize("persona", PERSONAS)
def test_a_persona_is_answered_as_the_table_says(
    callers: dict[str, Caller], project: str, owned: str, grant: str, row: Row, persona: str
) -> None:
    owner = callers["owner"]
    before = held(owner, owned)
    answer = call(callers[persona], row, owned, project, grant)
    check(answer, row.expected(persona))
    if persona != "owner":
        assert held(owner, owned) == before
    if row.method == "GET" and row.kind is not Kind.PUBLIC and persona != "restricted":
        implied = call(callers[persona], row, owned, project, grant, method="HEAD")
        assert implied.status_code == answer.status_code


MOVING = [
    (r'"(id|etag|revision|project_id|generation)":("[^"]*"|\d+)', r'"\1":_'),
    (r'"(secret|token)":"[\w.-]+"', r'"\1":_'),  # before what may stand in them by chance
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"[0-9a-f]{16}\.\d+", "CURSOR"),
    (r'"[0-9a-f]{32}"', '"TAG"'),
    (r"[0-9a-f]{32}-[0-9a-f]{16}(\.[\w-]+)?", "GRANT"),
    (r"req-[0-9a-f-]{36}", "REQUEST"),
]


def seen(answer: requests.Response, stack: str) -> tuple[int, dict[str, str], str]:
    """All there is to an answer, but for names and for what differs from one request to the next."""

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
@pytest.mark.parametrize("persona", [*UNIDENTIFIED[:2], *STRANGERS])
def test_what_others_have_looks_as_if_it_were_not_there(
    callers: dict[str, Caller], project: str, owned: str, grant: str, row: Row, persona: str
) -> None:
    caller, missing = callers[persona], fresh_stack()
    theirs, nobodys = (
        seen(call(caller, row, name, project, grant), name) for name in (owned, missing)
    )
    assert theirs == nobodys
    remove(callers, missing, *STRANGERS)


@rows_of_facts
def test_a_fact_that_others_have_looks_as_if_it_were_not_there(
    callers: dict[str, Caller], project: str, owned: str, row: Row
) -> None:
    """Where the caller's own project has stacks of these names, too."""
    owner, outsider, other = callers["owner"], callers["outsider"], fresh_stack()
    owner.put(f"/v1/stacks/{other}/facts/b", 1).raise_for_status()
    for name in (owned, other):
        outsider.put(f"/v1/stacks/{name}/facts/mine", 1).raise_for_status()
    theirs, nobodys = (seen(call(outsider, row, name, project), name) for name in (owned, other))
    assert theirs == nobodys
    remove(callers, other, "outsider")


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


def forgeries(project: str) -> list[dict[str, str]]:
    """Headers that claim to be what the gate would say of the owner or of an administrator."""
    named = {name: project if value == "PROJECT" else value for name, value in FORGED.items()}
    return [
        named,
        {name.replace("-", "_"): value for name, value in named.items()},
        {name.replace("-", "_", 1): value for name, value in named.items()},
        {name.upper(): value for name, value in named.items()},
        {f"HTTP-{name}": value for name, value in named.items()},
    ]


@every_row
@pytest.mark.parametrize("persona", ["no token", "junk token", "outsider", "reader", "restricted"])
def test_headers_that_claim_an_identity_change_nothing(
    callers: dict[str, Caller], project: str, row: Row, persona: str
) -> None:
    for headers in forgeries(project):
        name = fresh_stack()
        grant = fill(callers["owner"], name)
        answer = call(callers[persona], row, name, project, grant, headers=headers)
        check(answer, row.expected(persona))
        fact = callers["owner"].get(f"/v1/stacks/{name}/facts/a").json()
        assert (fact["value"], fact["version"]) == (1, 1)
        remove(callers, name, "outsider")


def test_a_writer_cannot_pass_for_somebody_else(
    keystone: KeystoneServer, callers: dict[str, Caller], project: str, owned: str
) -> None:
    for n, headers in enumerate(forgeries(keystone.accounts.project_id("outsider"))):
        written = callers["owner"].put(f"/v1/stacks/{owned}/facts/b", n, headers=headers)
        assert written.json()["updated_by"] == keystone.accounts.user_id("owner")
    assert callers["owner"].get(f"/v1/stacks/{owned}").json()["project_id"] == project


def test_the_methods_of_a_route_are_told_to_who_is_known_whether_it_exists_or_not(
    callers: dict[str, Caller], owned: str, grant: str
) -> None:
    for template in {row.template for row in ROWS if row.kind is not Kind.PUBLIC}:
        there, missing = (
            template.format(stack=name, path="a", member="a", waiter="w", grant=grant)
            for name in (owned, "missing")
        )
        for persona in UNIDENTIFIED:
            refused(callers[persona]("OPTIONS", there), "401 unauthorized")
        told = [callers["outsider"]("OPTIONS", path) for path in (there, missing)]
        assert [answer.status_code for answer in told] == [HTTPStatus.OK] * 2
        assert told[0].headers["Allow"] == told[1].headers["Allow"]
