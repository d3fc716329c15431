"""Who may do what, decided from real tokens."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
import requests

from factstore.cmd.children.keystone import KeystoneServer
from tests.calling import PROBLEM, Caller, fresh_stack, refused
from tests.keystone.conftest import Login
from tests.streaming import Stream

READS = [
    ("GET", ""),
    ("GET", "/facts"),
    ("GET", "/facts/a"),
    ("HEAD", "/facts/a"),
    ("GET", "/facts?prefix=a"),
    ("GET", "/facts/a?format=raw"),
    ("GET", "/facts/a?consistency=stale"),
    ("GET", "/events"),
    ("GET", "/context"),
    ("HEAD", "/context"),
]
WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "", {"description": "x"}),
    ("PUT", "/facts/a", {"value": 2}),
    ("PUT", "/facts/p", {"value": 2, "kind": "parameter"}),
    ("DELETE", "/facts/a", None),
    ("POST", "/batch", {"operations": [{"put": {"path": "a", "value": 2}}]}),
    ("DELETE", "", None),
]


@pytest.fixture
def owned(login: Login, stack: str) -> str:
    """A stack of the owner's with one fact."""
    assert login("owner").put(f"{stack}/facts/a", 1).status_code == HTTPStatus.CREATED
    return stack


def test_an_owner_reads_and_writes(keystone: KeystoneServer, login: Login, owned: str) -> None:
    owner = login("owner")
    for method, path in READS:
        assert owner(method, owned + path).status_code == HTTPStatus.OK, (method, path)
    fact = owner.get(f"{owned}/facts/a").json()
    assert fact["updated_by"] == keystone.accounts.user_id("owner")
    assert owner.get(owned).json()["project_id"] == keystone.accounts.project_id("owner")
    for method, path, body in WRITES:
        answer = owner(method, owned + path, json=body)
        assert answer.status_code < HTTPStatus.BAD_REQUEST, (method, path, answer.text)


def test_a_reader_reads(login: Login, owned: str) -> None:
    reader = login("reader")
    for method, path in READS:
        assert reader(method, owned + path).status_code == HTTPStatus.OK, (method, path)
    assert reader.get(f"{owned}/facts/a").json()["value"] == 1
    names = [stack["name"] for stack in reader.get("/v1/stacks?limit=1000").json()["stacks"]]
    assert owned.rpartition("/")[2] in names


def test_a_reader_writes_nothing_whether_it_exists_or_not(login: Login, owned: str) -> None:
    reader = login("reader")
    for stack in (owned, f"/v1/stacks/{fresh_stack()}"):
        for method, path, body in WRITES:
            refused(reader(method, stack + path, json=body), "403 forbidden")
        refused(login("owner").get(f"{stack}/facts/p"), "404 not_found")
    assert reader.get(f"{owned}/facts/a").json()["value"] == 1


def without_what_is_its_own(answer: requests.Response, stack: str) -> tuple[Any, ...]:
    body = answer.json()
    assert body["errors"][0].pop("request_id") == answer.headers["X-Openstack-Request-Id"]
    name = stack.rpartition("/")[2]
    headers = {
        key: value
        for key, value in answer.headers.items()
        if key.lower() not in ("date", "x-openstack-request-id", "content-length")
    }
    return answer.status_code, headers, answer.text.replace(name, "NAME").partition('"code"')[2]


def test_an_outsider_cannot_tell_a_foreign_stack_from_a_missing_one(
    login: Login, owned: str
) -> None:
    outsider = login("outsider")
    missing = f"/v1/stacks/{fresh_stack()}"
    for method, path in READS:
        theirs, nobodys = (outsider(method, stack + path) for stack in (owned, missing))
        if method == "HEAD":
            assert theirs.status_code == nobodys.status_code == HTTPStatus.NOT_FOUND
            continue
        refused(theirs, "404 not_found")
        assert without_what_is_its_own(theirs, owned) == without_what_is_its_own(nobodys, missing)
    deletions = [("DELETE", "/facts/a"), ("DELETE", "")]
    for method, path in deletions:
        theirs, nobodys = (outsider(method, stack + path) for stack in (owned, missing))
        refused(theirs, "404 not_found")
        assert without_what_is_its_own(theirs, owned) == without_what_is_its_own(nobodys, missing)
    with Stream(outsider.url, f"{owned}/events", dict(outsider.session.headers)) as stream:
        assert stream.answer.status == HTTPStatus.NOT_FOUND
    assert outsider.get("/v1/stacks").json()["stacks"] == []


def test_two_projects_may_use_the_same_name(login: Login, owned: str) -> None:
    owner, outsider = login("owner"), login("outsider")
    assert outsider.put(f"{owned}/facts/a", "theirs").status_code == HTTPStatus.CREATED
    assert owner.get(f"{owned}/facts/a").json()["value"] == 1
    assert owner.get(owned).json()["id"] != outsider.get(owned).json()["id"]
    assert outsider.delete(owned).status_code == HTTPStatus.NO_CONTENT
    assert owner.get(f"{owned}/facts/a").json()["value"] == 1


def test_a_foreign_cursor_shows_nothing(login: Login, owned: str) -> None:
    owner, outsider = login("owner"), login("outsider")
    outsider.put(f"{owned}/facts/mine", 1)
    cursor = owner.put(f"{owned}/facts/secret", "theirs").headers["Factstore-Cursor"]
    outsider.put(f"{owned}/facts/mine", 2)
    page = outsider.get(f"{owned}/facts?cursor={cursor}").json()
    assert [fact["path"] for fact in page["facts"]] == ["mine"]
    events = outsider.get(f"{owned}/events?since={cursor}").json()["events"]
    assert [change["path"] for event in events for change in event["changes"]] == ["mine"]
    outsider.delete(owned)


def test_an_idempotency_key_is_its_users_own(login: Login, owned: str) -> None:
    key = {"Idempotency-Key": "the same"}
    first = login("owner").put(f"{owned}/facts/k", 1, headers=key)
    second = login("outsider").put(f"{owned}/facts/k", 2, headers=key)
    third = login("admin").put(f"{owned}/facts/k", 3, headers=key)
    assert [a.status_code for a in (first, second, third)] == [HTTPStatus.CREATED] * 3
    for persona in ("outsider", "admin"):
        login(persona).delete(owned)


def test_an_administrator_lists_any_projects_stacks_and_others_their_own(
    keystone: KeystoneServer, login: Login, owned: str
) -> None:
    project = keystone.accounts.project_id("owner")
    query = f"/v1/stacks?limit=1000&project_id={project}"
    for persona in ("admin", "owner", "reader"):
        listed = login(persona).get(query).json()["stacks"]
        assert owned.rpartition("/")[2] in [stack["name"] for stack in listed]
        assert {stack["project_id"] for stack in listed} == {project}
    refused(login("outsider").get(query), "403 forbidden")
    other = keystone.accounts.project_id("outsider")
    for persona in ("owner", "reader"):
        refused(login(persona).get(f"/v1/stacks?project_id={other}"), "403 forbidden")
    assert login("admin").get("/v1/stacks?project_id=nobody").json()["stacks"] == []


def test_an_administrator_is_in_no_project_but_the_own(login: Login, owned: str) -> None:
    refused(login("admin").get(owned), "404 not_found")


FORGED = {
    "X-Roles": "admin,member",
    "X-Role": "admin",
    "X-User-Id": "root",
    "X-User": "root",
    "X-Project-Id": "PROJECT",
    "X-Tenant-Id": "PROJECT",
    "X-Tenant": "PROJECT",
    "X-Identity-Status": "Confirmed",
    "X-Is-Admin-Project": "True",
    "X-Service-Roles": "admin,service",
    "X-Service-Identity-Status": "Confirmed",
    "Factstore.Identity": "root",
}


def forgeries(project: str) -> list[dict[str, str]]:
    named = {name: project if value == "PROJECT" else value for name, value in FORGED.items()}
    return [
        named,
        {name.replace("-", "_"): value for name, value in named.items()},
        {name.replace("-", "_", 1): value for name, value in named.items()},
        {name.upper(): value for name, value in named.items()},
        {f"HTTP-{name}": value for name, value in named.items()},
    ]


def test_headers_that_claim_an_identity_are_not_believed(
    keystone: KeystoneServer, anonymous: Caller, login: Login, owned: str
) -> None:
    for headers in forgeries(keystone.accounts.project_id("owner")):
        for method, path in READS:
            answer = anonymous(method, owned + path, headers=headers)
            assert answer.status_code == HTTPStatus.UNAUTHORIZED, (headers, method, path)
        refused(login("outsider").get(owned, headers=headers), "404 not_found")
        forged = login("reader").put(f"{owned}/facts/a", "forged", headers=headers)
        refused(forged, "403 forbidden")
        written = login("owner").put(f"{owned}/facts/b", fresh_stack(), headers=headers)
        assert written.json()["updated_by"] == keystone.accounts.user_id("owner")
    assert login("owner").get(f"{owned}/facts/a").json()["value"] == 1


def test_without_a_token_only_discovery_is_answered(anonymous: Caller, owned: str) -> None:
    for path in ("/", "/v1", "/v1/", "/v1/openapi.json", "/healthcheck"):
        assert anonymous.get(path).status_code == HTTPStatus.OK, path
    for method, path in [*READS, *((method, path) for method, path, _ in WRITES)]:
        answer = anonymous(method, owned + path)
        assert answer.headers["Content-Type"].partition(";")[0] == PROBLEM
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
        if method == "HEAD":
            assert answer.status_code == HTTPStatus.UNAUTHORIZED
        else:
            refused(answer, "401 unauthorized")
    for path in ("/v1/nowhere", "/nowhere", "/v1/stacks/", "//", "/v1//"):
        refused(anonymous.get(path), "401 unauthorized")  # what exists is nobody's business


@pytest.mark.parametrize(
    "token", ["junk", "x" * 7000, "gAAAAAB" + "A" * 180, "a b", "../../etc/passwd", "%00", "ö", ""]
)
def test_a_token_that_is_none_is_refused(anonymous: Caller, owned: str, token: str) -> None:
    answer = anonymous.get(owned, headers={"X-Auth-Token": token.encode()})
    refused(answer, "401 unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
    if len(token) > 2:
        assert token not in answer.text


def test_a_service_token_that_is_none_is_refused_beside_a_good_token(
    login: Login, tokens: dict[str, str], owned: str
) -> None:
    owner = login("owner")
    refused(owner.get(owned, headers={"X-Service-Token": "junk"}), "401 unauthorized")
    # A user's own token is no service's, for want of the role.
    for persona in ("owner", "outsider"):
        headers = {"X-Service-Token": tokens[persona]}
        refused(owner.get(owned, headers=headers), "401 unauthorized")


def test_a_token_without_a_project_is_refused(
    keystone: KeystoneServer, anonymous: Caller, owned: str
) -> None:
    answer = requests.post(
        f"{keystone.auth_url}/auth/tokens",
        json={
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": {
                            "name": "admin",
                            "domain": {"id": "default"},
                            "password": keystone.accounts.password("admin"),
                        }
                    },
                },
                "scope": {"system": {"all": True}},
            }
        },
        proxies={"http": ""},
        timeout=10,
    )
    assert answer.status_code == HTTPStatus.CREATED
    token = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    refused(anonymous.get(owned, headers=token), "403 project_required")
