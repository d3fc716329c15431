"""Every operation as each holder of a grant: the table is in ``policy_table``.

One service with Keystone stands for all services: the two gates do not know of one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from factstore.api import docs_ui
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.cases import cases
from tests.eventually import eventually
from tests.grants import Held, issue, let_expire
from tests.http import Caller, fresh_stack, refused
from tests.keystone.conftest import Login, with_token
from tests.keystone.policy_kinds import DONE, ENDED, HOLDERS, Grants, Row
from tests.keystone.policy_requests import act, call, check, contents, records_for
from tests.keystone.policy_table import FACTS, NAMES, RECORDS
from tests.keystone.policy_table import GRANT_ROWS as ROWS
from tests.service import ApiServer
from tests.structure.application import mounted, operations

# Their answers refuse or read, so that one stack serves them all.
HARMLESS = [
    row
    for row in ROWS
    if row.method in ("GET", "HEAD") or (row.grants and DONE not in row.grants.value)
]
HARMFUL = [row for row in ROWS if row not in HARMLESS]
OF_EACH_KIND = {row.grants: row for row in HARMLESS}


@dataclass(frozen=True)
class Granted:
    """A stack of the owner's, and who holds which grant of it."""

    owner: Caller
    name: str
    grants: dict[str, Held]
    action: str

    @property
    def stack(self) -> str:
        return f"/v1/stacks/{self.name}"

    def held(self) -> list[Any]:
        """Return the content of the stack."""
        return contents(self.owner, self.name)


@pytest.fixture
def granted(etcd: EtcdServer, login: Login) -> Iterator[Granted]:
    """A stack of its own for each test."""
    yield from filled(etcd, login("owner"))


@pytest.fixture(scope="module")
def shared(etcd: EtcdServer, server: ApiServer, tokens: dict[str, str]) -> Iterator[Granted]:
    """One stack for all tests that leave it as it is, which is checked at the end."""
    with with_token(server, tokens["owner"]) as owner:
        for made in filled(etcd, owner):
            before = made.held()
            yield made
            assert made.held() == before


ISSUED: dict[str, dict[str, Any]] = {
    "agent of a": {"member": "a", "group": "g"},
    "agent of b": {"member": "b"},
    "reader": {"member": None, "role": "reader"},
    "group": {"member": None, "group": "g"},
}
"""The grants that the owner issues of the stack and that stay valid."""


def fill(owner: Caller, stack: str, records: dict[str, Any]) -> None:
    """Make a stack with the facts and members that the table names, and with some records."""
    puts = [{"put": {"path": path, "value": 1, "kind": kind}} for path, kind in FACTS.items()]
    owner.post(f"{stack}/batch", json={"operations": puts}).raise_for_status()
    for member, group in (("a", "g"), ("b", "g"), ("h", "other")):
        body = {"group": group, "ttl": 600}
        owner.put(f"{stack}/members/{member}", json=body).raise_for_status()
    for path, body in records.items():
        owner.put(f"{stack}/{path}", json=body).raise_for_status()


def enroll(owner: Caller, stack: str, group: Held) -> Held:
    """Return the grant of member ``e``, which joins."""
    with group.caller(owner.url) as holder:
        grant = issue(holder, stack, "e")
    with grant.caller(owner.url) as holder:
        holder.put(f"{stack}/members/e", json={"group": "g", "ttl": 600}).raise_for_status()
    return grant


def filled(etcd: EtcdServer, owner: Caller) -> Iterator[Granted]:
    """Make a stack with everything that the table names, and delete it afterwards."""
    name = fresh_stack()
    stack, other = f"/v1/stacks/{name}", f"/v1/stacks/{name}-other"
    owner.put(f"{stack}/facts/a", "before").raise_for_status()
    grants = {"its stack deleted": issue(owner, stack, "a")}
    owner.delete(stack).raise_for_status()
    fill(owner, stack, RECORDS)
    action = act(owner, name)
    grants |= {holder: issue(owner, stack, **fields) for holder, fields in ISSUED.items()}
    grants |= {
        "agent elsewhere": issue(owner, other, "a"),
        "expired": issue(owner, stack, "a"),
        "revoked": issue(owner, stack, "a"),
        "junk": Held("junk", "junk"),
        "enrolled": enroll(owner, stack, grants["group"]),
    }
    revoked = issue(owner, stack, None, group="gone")
    with revoked.caller(owner.url) as holder:
        grants["its group revoked"] = issue(holder, stack, "f")
    owner.delete(f"{stack}/grants/{revoked.id}").raise_for_status()
    let_expire(etcd.endpoint, owner, stack, grants["expired"])
    owner.delete(f"{stack}/grants/{grants['revoked'].id}").raise_for_status()
    grants["another secret"] = Held(grants["agent of a"].id, grants["agent of b"].secret)
    assert set(grants) == set(HOLDERS)
    yield Granted(owner, name, grants, action)
    for each in (stack, other):
        owner.delete(each)


@contextmanager
def filled_for(row: Row, owner: Caller, holders: list[str]) -> Iterator[Granted]:
    """Make a stack with what a row needs when these holders carry it out."""
    name = fresh_stack()
    stack = f"/v1/stacks/{name}"
    fill(owner, stack, records_for(row))
    action = act(owner, name) if "{action}" in row.template else NAMES["action"]
    wanted = {*holders, row.grant}
    if "enrolled" in wanted:
        wanted.add("group")
    grants = {
        holder: issue(owner, stack, **fields)
        for holder, fields in ISSUED.items()
        if holder in wanted
    }
    if "enrolled" in wanted:
        grants["enrolled"] = enroll(owner, stack, grants["group"])
    try:
        yield Granted(owner, name, grants, action)
    finally:
        owner.delete(stack)


@pytest.fixture(scope="module")
def project(keystone: KeystoneServer) -> str:
    """The owner's."""
    return keystone.accounts.project_id("owner")


CHALLENGE = "Bearer "


def send(
    caller: Caller, row: Row, granted: Granted, project: str, headers: dict[str, str]
) -> requests.Response:
    """Carry out a row's operation on the stack."""
    grant = granted.grants[row.grant].id
    action = granted.action
    return call(caller, row, granted.name, project, grant, headers=headers, action=action)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    shown = {("GET", path) for path in docs_ui.PATHS}
    assert {row.operation for row in ROWS} == operations() | mounted() | shown


def test_no_row_of_the_table_is_a_duplicate() -> None:
    assert len({str(row) for row in ROWS}) == len(ROWS)
    assert {len(kind.value) for kind in Grants} == {len(HOLDERS)}


def try_holders(
    holders: list[str], granted: Granted, anyone: Caller, row: Row, project: str
) -> None:
    """Carry out a row's operation as some holders."""
    with cases() as case:
        for holder in holders:
            with case(holder):
                answer = send(anyone, row, granted, project, granted.grants[holder].bearer)
                check(answer, row.answer_to_holder(holder), CHALLENGE)


@pytest.mark.parametrize("row", HARMLESS, ids=str)
def test_each_holder_who_reads_or_is_refused_is_answered_as_the_table_says(
    project: str, shared: Granted, anonymous: Caller, row: Row
) -> None:
    try_holders([*HOLDERS], shared, anonymous, row, project)


@pytest.mark.parametrize("row", HARMFUL, ids=str)
def test_each_holder_who_may_write_is_answered_as_the_table_says(
    project: str, shared: Granted, anonymous: Caller, row: Row
) -> None:
    """The others are refused on the stack of all tests, which stays as it is."""
    changing = [holder for holder in HOLDERS if not row.answer_to_holder(holder).startswith("4")]
    others = [holder for holder in HOLDERS if holder not in changing]
    try_holders(others, shared, anonymous, row, project)
    if changing:
        with filled_for(row, shared.owner, changing) as granted:
            try_holders(changing, granted, anonymous, row, project)


def test_a_grant_in_a_basic_header_is_answered_like_one_in_a_bearer_header(
    project: str, shared: Granted, anonymous: Caller
) -> None:
    with cases() as case:
        for holder in HOLDERS:
            for row in OF_EACH_KIND.values():
                with case(f"{holder}: {row}"):
                    answer = send(anonymous, row, shared, project, shared.grants[holder].basic)
                    check(answer, row.answer_to_holder(holder), CHALLENGE)


def test_another_stack_looks_the_same_to_a_holder_whether_it_exists_or_not(
    shared: Granted, anonymous: Caller
) -> None:
    holder = shared.grants["agent elsewhere"].bearer
    for part in ("", "/facts", "/facts/a", "/facts/none", "/context", "/events", "/grants"):
        details = []
        for name in (shared.name, fresh_stack()):
            answer = anonymous.get(f"/v1/stacks/{name}{part}", headers=holder)
            entry = refused(answer, "403 forbidden")
            details.append(entry["detail"])
        assert details[0] == details[1]


def test_a_grant_of_another_projects_stack_of_the_same_name_reaches_that_one(
    login: Login, granted: Granted, anonymous: Caller
) -> None:
    outsider = login("outsider")
    outsider.put(f"{granted.stack}/facts/theirs", 1).raise_for_status()
    namesake = issue(outsider, granted.stack, "a").bearer
    before = granted.held()
    written = anonymous.put(f"{granted.stack}/facts/nodes/a/x", "theirs", headers=namesake)
    assert written.status_code == 201
    seen = anonymous.get(f"{granted.stack}/facts", headers=namesake).json()["facts"]
    assert [fact["path"] for fact in seen] == ["nodes/a/x", "theirs"]
    foreign = granted.grants["agent of a"]
    answer = anonymous.get(f"{granted.stack}/grants/{foreign.id}", headers=namesake)
    refused(answer, "403 forbidden")
    refused(outsider.get(f"{granted.stack}/grants/{foreign.id}"), "404 not_found")
    refused(outsider.delete(f"{granted.stack}/grants/{foreign.id}"), "404 not_found")
    assert granted.held() == before
    outsider.delete(granted.stack).raise_for_status()


def test_a_token_beside_a_grant_is_one_credential_too_many(
    shared: Granted, anonymous: Caller, tokens: dict[str, str]
) -> None:
    for grant in ("agent of a", "reader", *ENDED):
        for token in (tokens["owner"], tokens["outsider"], "junk", ""):
            both = {**shared.grants[grant].bearer, "X-Auth-Token": token}
            refused(anonymous.get(f"{shared.stack}/facts/a", headers=both), "400 ambiguous")


def test_headers_that_claim_an_identity_change_nothing(
    keystone: KeystoneServer, granted: Granted, anonymous: Caller
) -> None:
    claimed = {
        "X-Roles": "admin,member",
        "X-User-Id": "root",
        "X-Project-Id": keystone.accounts.project_id("outsider"),
        "X-Identity-Status": "Confirmed",
        "X-Service-Token": "junk",
        "Factstore.Identity": "root",
        "Remote-User": "root",
    }
    grant = granted.grants["agent of a"]
    headers = {**claimed, **grant.bearer}
    written = anonymous.put(f"{granted.stack}/facts/nodes/a/x", 2, headers=headers)
    assert written.json()["updated_by"] == f"grant:{grant.id}"
    refused(anonymous.put(f"{granted.stack}/facts/a", 2, headers=headers), "403 forbidden")
    refused(anonymous.get("/v1/stacks", headers=headers), "403 forbidden")
    stale = {**claimed, **granted.grants["revoked"].bearer}
    refused(anonymous.get(f"{granted.stack}/facts/a", headers=stale), "401 unauthorized")


def test_owners_and_holders_read_the_writes_of_each_other(
    keystone: KeystoneServer, granted: Granted, login: Login, anonymous: Caller
) -> None:
    grant = granted.grants["agent of a"]
    anonymous.put(f"{granted.stack}/facts/nodes/a/ip", "10.0.0.1", headers=grant.bearer)
    for persona in ("owner", "reader"):
        fact = login(persona).get(f"{granted.stack}/facts/nodes/a/ip").json()
        assert (fact["value"], fact["updated_by"]) == ("10.0.0.1", f"grant:{grant.id}")
    granted.owner.put(f"{granted.stack}/facts/nodes/a/ip", "10.0.0.2").raise_for_status()
    fact = anonymous.get(f"{granted.stack}/facts/nodes/a/ip", headers=grant.basic).json()
    assert fact["updated_by"] == keystone.accounts.user_id("owner")


def test_holders_are_served_while_keystone_is_away(
    etcd: EtcdServer, private_keystone: KeystoneServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lonely")
    options = {"keystone_authtoken": {"http_connect_timeout": 20, "http_request_max_retries": 0}}
    with ApiServer(
        [etcd.endpoint], folder, auth="keystone", keystone=private_keystone, options=options
    ) as server:
        stack = f"/v1/stacks/{fresh_stack()}"
        token = {"X-Auth-Token": private_keystone.accounts.issue("owner")}
        with Caller(server.url, token) as owner, Caller(server.url) as anyone:
            grant = issue(owner, stack)
            private_keystone.kill()
            written = anyone.put(f"{stack}/facts/nodes/c1/ip", 1, headers=grant.bearer)
            assert written.status_code == 201
            eventually(
                lambda: anyone.get(stack, headers={"X-Auth-Token": "new"}).status_code == 503
            )
            assert anyone.get(f"{stack}/context", headers=grant.basic).ok
